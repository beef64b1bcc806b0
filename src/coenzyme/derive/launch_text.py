"""Launchers as LLVM text: the functions that run the chunks of a parallel loop on threads.

A *task* is what a thread runs: chunks ``first`` to ``first + count - 1``, whose arguments it finds in a
*frame* on the launcher's stack. It has the form of a kernel of a generalised ufunc, which is what Numba's
threading layers take: ``void task(ptr {first}, ptr {count}, ptr steps, ptr frame)``.

Only one launch runs on threads at a time: not every threading layer takes several, and none gains by it. A
launch that finds another one under way, in a chunk of that or in another thread, runs its chunks itself. Its
results are the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coenzyme.frontends.program import Status

__all__ = [
    "LAUNCH_COUNT",
    "LAUNCH_FLAG",
    "RUNTIME",
    "TASK_PARAMETERS",
    "Frame",
    "augmented_text",
    "discard_text",
    "forward_text",
    "task_text",
]

LAUNCH_FLAG = "coenzyme_launching"
"""Symbol of a word that is 1 while chunks run on threads."""
LAUNCH_COUNT = "coenzyme_launches"
"""Symbol of a word that counts the launches on threads."""
TASK_PARAMETERS = "ptr %first.at, ptr %count.at, ptr %steps, ptr %frame"
RECORDS = 24
"""In the record of a launch, the number of chunks is followed by the records of the chunks."""

_GIVEN = "ptr %task, ptr %first, ptr %count, ptr %steps, ptr %frame"

RUNTIME = f"""
@{LAUNCH_FLAG} = external global i64, align 8
@{LAUNCH_COUNT} = external global i64, align 8

declare void @numba_parallel_for(ptr, ptr, ptr, ptr, ptr, i64, i64, i64)
declare void @numba_gil_ensure(ptr)
declare void @numba_gil_release(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare i64 @get_num_threads()

; Chunks that are not apart from each other run one after the other, the last one first.
define internal void @coenzyme.launch(ptr %task, ptr %frame, i64 %chunks, i1 %apart) noinline nounwind {{
entry:
  %first = alloca ptr, align 8
  %count = alloca i64, align 8
  %steps = alloca i64, align 8
  %gil = alloca i64, align 8
  store ptr null, ptr %first, align 8
  store i64 %chunks, ptr %count, align 8
  store i64 1, ptr %steps, align 8
  br i1 %apart, label %ask, label %backwards

ask:
  %several = icmp ugt i64 %chunks, 1
  br i1 %several, label %take, label %alone

take:
  %taken = atomicrmw xchg ptr @{LAUNCH_FLAG}, i64 1 acq_rel, align 8
  %free = icmp eq i64 %taken, 0
  br i1 %free, label %launch, label %alone

launch:
  %counted = atomicrmw add ptr @{LAUNCH_COUNT}, i64 1 monotonic, align 8
  %threads = call i64 @get_num_threads()
  call void @numba_gil_ensure(ptr %gil)
  %state = call ptr @PyEval_SaveThread()
  call void @numba_parallel_for({_GIVEN}, i64 0, i64 1, i64 %threads)
  call void @PyEval_RestoreThread(ptr %state)
  call void @numba_gil_release(ptr %gil)
  %given.back = atomicrmw xchg ptr @{LAUNCH_FLAG}, i64 0 acq_rel, align 8
  br label %out

alone:
  call void %task(ptr %first, ptr %count, ptr %steps, ptr %frame)
  br label %out

backwards:
  %left = phi i64 [ %chunks, %entry ], [ %number, %step ]
  %done = icmp eq i64 %left, 0
  br i1 %done, label %out, label %step

step:
  %number = sub i64 %left, 1
  %this = inttoptr i64 %number to ptr
  store ptr %this, ptr %first, align 8
  store i64 1, ptr %count, align 8
  call void %task(ptr %first, ptr %count, ptr %steps, ptr %frame)
  br label %backwards

out:
  ret void
}}

; The status of the first chunk that failed, whose error becomes the launcher's.
define internal i32 @coenzyme.launch.status(ptr %statuses, ptr %errors, i64 %chunks, ptr %error) nounwind {{
entry:
  br label %head

head:
  %c = phi i64 [ 0, %entry ], [ %next, %fine ]
  %done = icmp eq i64 %c, %chunks
  br i1 %done, label %out, label %look

look:
  %status.slot = getelementptr i32, ptr %statuses, i64 %c
  %status = load i32, ptr %status.slot, align 4
  %failed = icmp ne i32 %status, 0
  br i1 %failed, label %bad, label %fine

fine:
  %next = add i64 %c, 1
  br label %head

bad:
  %error.slot = getelementptr ptr, ptr %errors, i64 %c
  %description = load ptr, ptr %error.slot, align 8
  store ptr %description, ptr %error, align 8
  br label %out

out:
  %result = phi i32 [ 0, %head ], [ %status, %bad ]
  ret i32 %result
}}
"""


@dataclass(frozen=True)
class Frame:
    """The arguments of a launcher, in memory, with what its chunks report.

    Attributes
    ----------
    name
        The launcher.
    primal
        Types of the primal's parameters.
    extras
        Types of the parameters for shadows, tangents and adjoints.
    last
        Whether there is one more, for a record.
    """

    name: str
    primal: Sequence[str]
    extras: Sequence[str]
    last: bool = False

    @property
    def types(self) -> list[str]:
        """The types of the launcher's parameters."""
        return [*self.primal, *self.extras, *(["ptr"] if self.last else [])]

    @property
    def layout(self) -> str:
        """The frame's type: the parameters, then statuses, errors, records, and a table of extras."""
        return "{ " + ", ".join([*self.types, "ptr", "ptr", "ptr", "ptr"]) + " }"

    @property
    def parameters(self) -> str:
        """The launcher's parameters."""
        return ", ".join(f"{t} %a.{i}" for i, t in enumerate(self.types))

    def begin(self) -> str:
        """Return the instructions that make the frame."""
        fields = [*(f"{t} %a.{i}" for i, t in enumerate(self.types)), "ptr %statuses", "ptr %errors"]
        lines = [
            f"  %frame = alloca {self.layout}, align 16",
            "  %statuses = alloca i32, i64 %a.2, align 8",
            "  %errors = alloca ptr, i64 %a.2, align 8",
        ]
        lines.extend(line for i, field in enumerate(fields) for line in self.store(i, field))
        return "\n".join(lines)

    def store(self, position: int, value: str) -> list[str]:
        """Return the instructions that put `value` into the frame."""
        place = f"%frame.{position}"
        return [
            f"  {place} = getelementptr {self.layout}, ptr %frame, i32 0, i32 {position}",
            f"  store {value}, ptr {place}",
        ]

    def run(self, apart: str = "true") -> str:
        """Return the instructions that run the chunks, and gather their statuses."""
        return (
            f'  call void @coenzyme.launch(ptr @"{self.name}.task", ptr %frame, i64 %a.2, i1 {apart})\n'
            "  %status = call i32 @coenzyme.launch.status(ptr %statuses, ptr %errors, i64 %a.2, ptr %a.1)"
        )


def task_text(frame: Frame, called: str, *, tabled: bool = False) -> str:
    """Return the task that calls the chunk function `called`.

    Parameters
    ----------
    tabled
        Whether each chunk has its own extras, a row of the table, and a record to read.
    """
    count = len(frame.types)
    names = [*(f"a.{i}" for i in range(count)), "statuses", "errors", "records", "table"]
    kinds = [*frame.types, "ptr", "ptr", "ptr", "ptr"]
    loads = "\n".join(
        f"  %{name}.at = getelementptr {frame.layout}, ptr %frame, i32 0, i32 {i}\n"
        f"  %{name} = load {kind}, ptr %{name}.at"
        for i, (name, kind) in enumerate(zip(names, kinds, strict=True))
    )
    first_extra = len(frame.primal)
    arguments = ["ptr %ret", "ptr %error", *(f"{t} %a.{i + 2}" for i, t in enumerate(frame.primal[2:]))]
    arguments.append("i64 %c")
    rows = ""
    for position, kind in enumerate(frame.extras):
        if not tabled:
            arguments.append(f"{kind} %a.{first_extra + position}")
            continue
        rows += (
            f"  %x.{position}.at = getelementptr ptr, ptr %row, i64 {position}\n"
            f"  %x.{position} = load ptr, ptr %x.{position}.at\n"
        )
        arguments.append(f"ptr %x.{position}")
    if tabled:
        rows = (
            f"  %row.start = mul i64 %c, {len(frame.extras)}\n"
            f"  %row = getelementptr ptr, ptr %table, i64 %row.start\n{rows}"
        )
    last = ""
    if frame.last:
        last = "  %where = getelementptr ptr, ptr %records, i64 %c\n"
        if tabled:
            last += "  %record = load ptr, ptr %where\n"
        arguments.append("ptr %record" if tabled else "ptr %where")
    declared = ", ".join(a.rsplit(" ", 1)[0] for a in arguments)
    return f"""
declare i32 @"{called}"({declared})

define internal void @"{frame.name}.task"({TASK_PARAMETERS}) nounwind {{
entry:
  %ret = alloca ptr, align 8
{loads}
  %first.pointer = load ptr, ptr %first.at
  %first = ptrtoint ptr %first.pointer to i64
  %count = load i64, ptr %count.at
  %end = add i64 %first, %count
  br label %head

head:
  %c = phi i64 [ %first, %entry ], [ %next, %body ]
  %more = icmp ult i64 %c, %end
  br i1 %more, label %body, label %out

body:
  %error = getelementptr ptr, ptr %errors, i64 %c
{rows}{last}  %status = call i32 @"{called}"({", ".join(arguments)})
  %status.at = getelementptr i32, ptr %statuses, i64 %c
  store i32 %status, ptr %status.at
  %next = add i64 %c, 1
  br label %head

out:
  ret void
}}
"""


def forward_text(frame: Frame) -> str:
    """Return the launcher of chunks that keep nothing: those of the primal, or of its forward derivative."""
    return f"""
define internal i32 @"{frame.name}"({frame.parameters}) noinline nounwind {{
entry:
{frame.begin()}
{frame.run()}
  ret i32 %status
}}
"""


def augmented_text(frame: Frame, discard: str) -> str:
    """Return the launcher of chunks that each leave a record."""
    records = len(frame.types) + 2
    keep = "\n".join(frame.store(records, "ptr %records"))
    return f"""
declare ptr @calloc(i64, i64)
declare void @"{discard}"(ptr)

define internal i32 @"{frame.name}"({frame.parameters}) noinline nounwind {{
entry:
{frame.begin()}
  %bytes = mul i64 %a.2, 8
  %size = add i64 %bytes, {RECORDS}
  %record = call ptr @calloc(i64 1, i64 %size)
  %none = icmp eq ptr %record, null
  br i1 %none, label %exhausted, label %run

exhausted:
  ret i32 {int(Status.TAPE_EXHAUSTED)}

run:
  %chunks.at = getelementptr i8, ptr %record, i64 {RECORDS - 8}
  store i64 %a.2, ptr %chunks.at, align 8
  %records = getelementptr i8, ptr %record, i64 {RECORDS}
{keep}
{frame.run()}
  %failed = icmp ne i32 %status, 0
  br i1 %failed, label %discard, label %hand.out

discard:
  call void @"{discard}"(ptr %record)
  ret i32 %status

hand.out:
  store ptr %record, ptr %a.{len(frame.types) - 1}, align 8
  ret i32 0
}}
"""


def discard_text(name: str, chunk: str) -> str:
    """Return the function that gives back the record of a launch, with those of its chunks."""
    return f"""
declare void @free(ptr)
declare void @"{chunk}"(ptr)

define internal void @"{name}"(ptr %record) noinline nounwind {{
entry:
  %chunks.at = getelementptr i8, ptr %record, i64 {RECORDS - 8}
  %chunks = load i64, ptr %chunks.at, align 8
  %records = getelementptr i8, ptr %record, i64 {RECORDS}
  br label %head

head:
  %c = phi i64 [ 0, %entry ], [ %next, %following ]
  %done = icmp eq i64 %c, %chunks
  br i1 %done, label %out, label %look

look:
  %slot = getelementptr ptr, ptr %records, i64 %c
  %own = load ptr, ptr %slot, align 8
  %none = icmp eq ptr %own, null
  br i1 %none, label %following, label %drop

drop:
  call void @"{chunk}"(ptr %own)
  br label %following

following:
  %next = add i64 %c, 1
  br label %head

out:
  call void @free(ptr %record)
  ret void
}}
"""
