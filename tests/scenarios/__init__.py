"""Scenarios are data: functions with known derivatives, applied in every mode by one runner."""
