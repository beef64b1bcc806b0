"""``x[...]`` as a value in compiled code, which ``x[...] -= step`` reads: Numba types it, and no more."""

from __future__ import annotations

import operator
from typing import Any

from numba.core import types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import lower_builtin

__all__: list[str] = []


@lower_builtin(operator.getitem, types.Buffer, types.EllipsisType)
@lower_builtin("static_getitem", types.Buffer, types.EllipsisType)
def _whole(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return impl_ret_borrowed(context, builder, signature.return_type, args[0])
