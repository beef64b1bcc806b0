"""What all tests share, the examples in the sources included."""

import os

# A derivative found on disk would be one that is not tested. The tests of the cache turn it on.
os.environ.setdefault("COENZYME_CACHE", "0")
