"""Derivatives timed against the functions they derive from, adjoints by hand and other libraries.

``make bench``, or ``python -m benchmarks``, measures every row and writes ``docs/benchmarks``. To add a row,
add it to the ``ROWS`` of a module in ``benchmarks/problems``: it is found there.
"""

import os

# What is measured is compiled, also the second time.
os.environ.setdefault("COENZYME_CACHE", "0")
