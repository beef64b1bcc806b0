"""Random programs: generated, compiled, differentiated and checked."""
