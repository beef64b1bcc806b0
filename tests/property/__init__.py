"""Random programs: generated, compiled, differentiated and checked."""

TALLY = "what came of random programs"
"""The property of a test's report that counts verdicts."""
