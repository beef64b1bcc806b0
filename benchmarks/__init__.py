"""Timings of derivatives against the functions they derive from; `make bench` runs them and none can fail."""
