"""What all tests share, the examples in the sources included."""

import os

import pytest
from _pytest.doctest import DoctestItem

from coenzyme.errors import BackendUnavailableError
from coenzyme.frontends.clang import find_clang

# A derivative found on disk would be one that is not tested. The tests of the cache turn it on.
os.environ.setdefault("COENZYME_CACHE", "0")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the examples that compile C where there is no clang."""
    if isinstance(item, DoctestItem) and any(
        name in item.dtest.docstring for name in ("compile_c(", "cz.c.")
    ):
        try:
            find_clang()
        except BackendUnavailableError as missing:
            pytest.skip(missing.message)
