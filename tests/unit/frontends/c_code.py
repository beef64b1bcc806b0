"""What tests of C code share: they are skipped, with a reason, where there is no clang."""

import pytest

from coenzyme.errors import BackendUnavailableError
from coenzyme.frontends.clang import find_clang


def _reason():
    try:
        find_clang()
    except BackendUnavailableError as missing:
        return str(missing)
    return ""


_MISSING = _reason()
needs_clang = pytest.mark.skipif(bool(_MISSING), reason=_MISSING or "clang is there")
