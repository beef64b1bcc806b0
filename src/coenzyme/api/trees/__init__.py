"""Structured values: which there are, their shadows, and one vector for all their numbers."""

from __future__ import annotations

from coenzyme.api.trees.kinds import register

__all__ = ["register"]
