"""Derivatives that users write: `rule`, `inactive`, and what they are made of."""
