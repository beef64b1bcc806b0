"""The problems: each module states its rows in ``ROWS``."""
