"""Machine code whose memory is watched.

The run-time functions that derivatives call are replaced by counting ones: what is left allocated after a
call is a leak, memory is full of NaNs before it is written and after it is freed, and an allocation can be
made to fail.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm

from coenzyme.codegen import passes, verify
from coenzyme.derive.tape_text import SMALLEST

__all__ = ["Left", "Watched"]

_RUNTIME = """
@watch.live = global i64 0
@watch.held = global i64 0
@watch.asked = global i64 0
@watch.fails = global i64 -1

declare ptr @malloc(i64)
declare void @free(ptr)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define noalias ptr @watch.raw(i64 %bytes) noinline nounwind {
  %all = add i64 %bytes, 16
  %block = call ptr @malloc(i64 %all)
  store i64 %bytes, ptr %block
  %count = getelementptr i8, ptr %block, i64 8
  store i64 1, ptr %count
  %payload = getelementptr i8, ptr %block, i64 16
  call void @llvm.memset.p0.i64(ptr %payload, i8 -1, i64 %bytes, i1 false)
  %live = load i64, ptr @watch.live
  %more = add i64 %live, 1
  store i64 %more, ptr @watch.live
  ret ptr %payload
}

define noalias ptr @watch.malloc(i64 %bytes) noinline nounwind {
  %asked = load i64, ptr @watch.asked
  %next = add i64 %asked, 1
  store i64 %next, ptr @watch.asked
  %fails = load i64, ptr @watch.fails
  %bad = icmp eq i64 %fails, %asked
  br i1 %bad, label %refuse, label %give

refuse:
  ret ptr null

give:
  %block = call ptr @watch.raw(i64 %bytes)
  ret ptr %block
}

define noalias ptr @watch.calloc(i64 %count, i64 %size) noinline nounwind {
  %bytes = mul i64 %count, %size
  %block = call ptr @watch.malloc(i64 %bytes)
  %failed = icmp eq ptr %block, null
  br i1 %failed, label %out, label %clear

clear:
  call void @llvm.memset.p0.i64(ptr %block, i8 0, i64 %bytes, i1 false)
  br label %out

out:
  ret ptr %block
}

define void @watch.free(ptr %payload) noinline nounwind {
  %none = icmp eq ptr %payload, null
  br i1 %none, label %out, label %drop

drop:
  %block = getelementptr i8, ptr %payload, i64 -16
  %bytes = load i64, ptr %block
  %all = add i64 %bytes, 16
  call void @llvm.memset.p0.i64(ptr %block, i8 -1, i64 %all, i1 false)
  call void @free(ptr %block)
  %live = load i64, ptr @watch.live
  %less = sub i64 %live, 1
  store i64 %less, ptr @watch.live
  br label %out

out:
  ret void
}

define ptr @watch.realloc(ptr %old, i64 %bytes) noinline nounwind {
  %new = call ptr @watch.malloc(i64 %bytes)
  %failed = icmp eq ptr %new, null
  %none = icmp eq ptr %old, null
  %idle = or i1 %failed, %none
  br i1 %idle, label %out, label %copy

copy:
  %block = getelementptr i8, ptr %old, i64 -16
  %had = load i64, ptr %block
  %shorter = icmp ult i64 %had, %bytes
  %moved = select i1 %shorter, i64 %had, i64 %bytes
  call void @llvm.memcpy.p0.p0.i64(ptr %new, ptr %old, i64 %moved, i1 false)
  call void @watch.free(ptr %old)
  br label %out

out:
  ret ptr %new
}

define noalias ptr @NRT_MemInfo_alloc_aligned(i64 %bytes, i32 %alignment) noinline nounwind {
  %held = load i64, ptr @watch.held
  %more = add i64 %held, 1
  store i64 %more, ptr @watch.held
  %block = call ptr @watch.raw(i64 %bytes)
  ret ptr %block
}

define ptr @NRT_MemInfo_data_fast(ptr %block) noinline nounwind {
  ret ptr %block
}

define void @NRT_incref(ptr %payload) noinline nounwind {
  %none = icmp eq ptr %payload, null
  br i1 %none, label %out, label %step

step:
  %slot = getelementptr i8, ptr %payload, i64 -8
  %count = load i64, ptr %slot
  %more = add i64 %count, 1
  store i64 %more, ptr %slot
  br label %out

out:
  ret void
}

define void @NRT_decref(ptr %payload) noinline nounwind {
  %none = icmp eq ptr %payload, null
  br i1 %none, label %out, label %step

step:
  %slot = getelementptr i8, ptr %payload, i64 -8
  %count = load i64, ptr %slot
  %less = sub i64 %count, 1
  store i64 %less, ptr %slot
  %over = icmp eq i64 %less, 0
  br i1 %over, label %drop, label %out

drop:
  %held = load i64, ptr @watch.held
  %fewer = sub i64 %held, 1
  store i64 %fewer, ptr @watch.held
  call void @watch.free(ptr %payload)
  br label %out

out:
  ret void
}
"""

_WATCHED = re.compile(r"@(malloc|calloc|free|realloc)\b")
_POOL = re.compile(r"^@coenzyme\.pool = internal global \[(\d+) x ptr\]", re.MULTILINE)
_OURS = re.compile(
    r"^declare [^@\n]*@(?:watch\.\w+|NRT_\w+|malloc|free|llvm\.mem(?:set\.p0|cpy\.p0\.p0)\.i64)\(.*\n",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Left:
    """What one call left behind, and its status.

    Attributes
    ----------
    leaked
        Blocks of the tape that were not given back.
    held
        Blocks with a reference count that were not given back.
    asked
        How often memory for the tape was asked for.
    """

    status: int
    leaked: int
    held: int
    asked: int


class Watched:
    """Compiled LLVM text.

    Parameters
    ----------
    level
        How hard LLVM optimises it.
    small
        Whether chunks of the tape have some bytes in place of many, so that small programs fill several.
    """

    def __init__(self, text: str, level: int, *, small: bool) -> None:
        watched = _OURS.sub("", _WATCHED.sub(r"@watch.\1", text))
        watched = watched.replace(f"[ {SMALLEST}, %entry ]", f"[ {64 if small else SMALLEST}, %entry ]")
        pool = _POOL.search(watched)
        self.pool_slots = int(pool.group(1)) if pool else 0
        watched = _POOL.sub(r"@coenzyme.pool = global [\1 x ptr]", watched)
        module = verify(watched + _RUNTIME)
        passes.optimise_module(module, level)
        self.engine = llvm.create_mcjit_compiler(module, _machine())
        self.engine.finalize_object()

    def close(self) -> None:
        """Free the machine code."""
        self.engine.close()

    def call(self, name: str, given: list[Any], *, fails: int = -1, fresh: bool = True) -> Left:
        """Call a function with floats, integers and pointers.

        Parameters
        ----------
        fails
            The number of the allocation that fails.
        fresh
            Whether no memory of earlier calls may be used again.
        """
        self._cell("watch.fails").value = fails
        self._cell("watch.asked").value = 0
        if fresh:
            self._drain()
            self._cell("watch.live").value = self._cell("watch.held").value = 0
        status = self._function(name, given)(*given)
        held = self._cell("watch.held").value
        leaked = self._cell("watch.live").value - held - self._pooled()
        return Left(status, leaked, held, self._cell("watch.asked").value)

    def _pooled(self) -> int:
        """Return how many blocks wait to be used again."""
        return sum(slot is not None for slot in self._pool())

    def _drain(self) -> None:
        free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.engine.get_function_address("watch.free"))
        pool = self._pool()
        for i, block in enumerate(pool):
            free(block)
            pool[i] = None

    def _pool(self) -> Any:
        address = self.engine.get_global_value_address("coenzyme.pool") if self.pool_slots else 0
        return (ctypes.c_void_p * self.pool_slots).from_address(address) if address else ()

    def _cell(self, name: str) -> ctypes.c_int64:
        return ctypes.c_int64.from_address(self.engine.get_global_value_address(name))

    def _function(self, name: str, given: list[Any]) -> Callable[..., int]:
        kinds = {float: ctypes.c_double, int: ctypes.c_int64, ctypes.c_void_p: ctypes.c_void_p}
        types = [kinds[type(value)] for value in given]
        return ctypes.CFUNCTYPE(ctypes.c_int32, *types)(self.engine.get_function_address(name))


def _machine() -> Any:
    """Return a target machine of its own: an engine takes it over."""
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=1, codemodel="jitdefault", jit=True
    )
