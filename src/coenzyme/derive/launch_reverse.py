"""The reverse sweep of a launch as LLVM text: which chunks may add to which shadows at the same time.

No element that one chunk writes is touched by another, in the primal. So it is where several chunks *read* an
element that their reverse sweeps meet, each adding to the same place of a shadow. There are four ways out:

- `Sharing.IN_PLACE`: no two chunks read the same element, or none reads any. They work on the shadow itself.
- `Sharing.SUM`: nothing is written. The first chunk works on the shadow; the others on copies of their own,
  zero at the start, which are added to the shadow afterwards, in order.
- `Sharing.JOIN`: some elements are read, others written. The first chunk works on the shadow; the others on
  copies of it. Afterwards an element that one chunk has changed is taken over as it is; what several chunks
  have added to one is added up.
- Where arrays overlap, or memory cannot be traced, the chunks run one after the other, in reverse order.

All of that depends on the number of chunks, and not on which thread runs which: neither do the results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, count

from coenzyme.derive.launch_private import Sharing, float_size, task_symbol
from coenzyme.derive.launch_text import RECORDS, Frame
from coenzyme.frontends.launch import FIRST, LaunchedArray

__all__ = ["SharedArray", "reverse_text"]

_MANY = 1 << 13
"""So many elements, and it pays to add copies up on several threads."""


@dataclass(frozen=True)
class SharedArray:
    """An array with a shadow: the number of that among the extra parameters, and what is done with it."""

    array: LaunchedArray
    extra: int
    sharing: Sharing

    @property
    def element(self) -> str:
        """The floating-point type it is made of."""
        assert self.array.element is not None
        return self.array.element


def reverse_text(frame: Frame, arrays: Sequence[SharedArray], outputs: dict[int, str], *, apart: bool) -> str:
    """Return the launcher of the reverse sweeps of chunks.

    Parameters
    ----------
    outputs
        Which extra parameters are places for adjoints, and of what type.
    apart
        Whether chunks may run at the same time, if the arrays are as they should be.
    """
    return _Writer(frame, arrays, outputs).write(apart=apart)


@dataclass
class _Writer:
    frame: Frame
    arrays: Sequence[SharedArray]
    outputs: dict[int, str]
    lines: list[str] = field(default_factory=list[str])
    numbers: count[int] = field(default_factory=count)

    def write(self, *, apart: bool) -> str:
        frame = self.frame
        types = frame.types
        chunks, record = "%a.2", f"%a.{len(types) - 1}"
        private = [a for a in self.arrays if a.sharing is not Sharing.IN_PLACE]
        self.lines = [frame.begin()]
        self.emit(f"%records = getelementptr i8, ptr {record}, i64 {RECORDS}")
        self.emit(f"%entries = mul i64 {chunks}, {max(len(frame.extras), 1)}")
        self.emit("%table = alloca ptr, i64 %entries, align 8")
        self.lines.extend(frame.store(len(types) + 2, "ptr %records"))
        self.lines.extend(frame.store(len(types) + 3, "ptr %table"))
        for extra, type in self.outputs.items():
            self.emit(f"%out.{extra} = alloca {type}, i64 {chunks}, align 8")
        several = self.value(f"icmp ugt i64 {chunks}, 1")
        wanted = self.conjunction([several, *self.conditions()]) if apart else "false"
        for item in private:
            wanted = self.make_copies(item, wanted)
        self.emit("br label %rows")
        self.fill_table(private, wanted)
        self.label("run")
        self.lines.append(frame.run(wanted))
        self.emit(f"br i1 {wanted}, label %together, label %finish")
        self.label("together")
        for item in private:
            self.bring_together(item)
        self.emit("br label %finish")
        self.label("finish")
        for item in private:
            self.emit(f"call void @free(ptr %copies.{item.extra})")
        self.emit(f"call void @free(ptr {record})")
        for extra, type in self.outputs.items():
            self.add_up(extra, type)
        self.emit("ret i32 %status")
        body = "\n".join(self.lines)
        header = f'define internal i32 @"{frame.name}"({frame.parameters}) noinline nounwind {{\nentry:\n'
        return f"declare void @free(ptr)\n\n{header}{body}\n}}\n"

    # -- text

    def emit(self, line: str) -> None:
        self.lines.append(f"  {line}")

    def label(self, name: str) -> None:
        self.lines.append(f"\n{name}:")

    def value(self, operation: str) -> str:
        name = f"%v.{next(self.numbers)}"
        self.emit(f"{name} = {operation}")
        return name

    def conjunction(self, conditions: Sequence[str]) -> str:
        result = "true"
        for condition in conditions:
            result = condition if result == "true" else self.value(f"and i1 {result}, {condition}")
        return result

    def shadow(self, item: SharedArray) -> str:
        return f"%a.{len(self.frame.primal) + item.extra}"

    # -- may the chunks run at the same time?

    def conditions(self) -> list[str]:
        """Emit the tests that chunks do not meet, and return their results."""
        found: list[str] = []
        spans = [self.span(item) for item in self.arrays]
        for item in self.arrays:
            array = item.array
            if item.sharing is Sharing.IN_PLACE and array.axis is not None:
                found.append(self.value(f"icmp sge i64 %a.{FIRST}, 0"))
                if not array.contiguous:
                    found.append(self.is_divided(array))
            elif item.sharing is not Sharing.IN_PLACE:
                found.append(self.is_aligned(item))
        for (a, first), (b, second) in combinations(zip(self.arrays, spans, strict=True), 2):
            if not a.sharing is b.sharing is Sharing.SUM:
                below = self.value(f"icmp ule i64 {first[1]}, {second[0]}")
                above = self.value(f"icmp ule i64 {second[1]}, {first[0]}")
                found.append(self.value(f"or i1 {below}, {above}"))
        return found

    def span(self, item: SharedArray) -> tuple[str, str]:
        """Emit the first and the last address of a shadow; the same where there is none."""
        array, shadow = item.array, self.shadow(item)
        base = self.value(f"ptrtoint ptr {shadow} to i64")
        low, high = base, self.value(f"add i64 {base}, {array.size}")
        empty = self.value(f"icmp eq ptr {shadow}, null")
        for extent, stride in zip(array.shape, array.strides, strict=True):
            none = self.value(f"icmp slt i64 %a.{extent}, 1")
            empty = self.value(f"or i1 {empty}, {none}")
            steps = self.value(f"sub i64 %a.{extent}, 1")
            reach = self.value(f"mul i64 {steps}, %a.{stride}")
            down = self.value(f"icmp slt i64 {reach}, 0")
            below = self.value(f"select i1 {down}, i64 {reach}, i64 0")
            above = self.value(f"select i1 {down}, i64 0, i64 {reach}")
            low = self.value(f"add i64 {low}, {below}")
            high = self.value(f"add i64 {high}, {above}")
        self.emit(f"%low.{item.extra} = select i1 {empty}, i64 {base}, i64 {low}")
        self.emit(f"%high.{item.extra} = select i1 {empty}, i64 {base}, i64 {high}")
        return f"%low.{item.extra}", f"%high.{item.extra}"

    def is_aligned(self, item: SharedArray) -> str:
        """Emit whether a shadow can be gone through number by number."""
        bits = self.value(f"ptrtoint ptr {self.shadow(item)} to i64")
        for stride in item.array.strides:
            bits = self.value(f"or i64 {bits}, %a.{stride}")
        rest = self.value(f"and i64 {bits}, {float_size(item.element) - 1}")
        return self.value(f"icmp eq i64 {rest}, 0")

    def is_divided(self, array: LaunchedArray) -> str:
        """Emit whether places that differ in their index along the array's axis lie apart in memory."""
        assert array.axis is not None
        own = self.magnitude(array.strides[array.axis])
        others = [i for i in range(len(array.shape)) if i != array.axis]
        inner = f"{array.size}"
        for axis in others:
            inner = self.value(f"add i64 {inner}, {self.reach(array, axis)}")
        found = self.value(f"icmp sge i64 {own}, {inner}")
        if len(others) == 1:
            along = self.value(f"add i64 {array.size}, {self.reach(array, array.axis)}")
            other = self.magnitude(array.strides[others[0]])
            between = self.value(f"icmp sge i64 {other}, {along}")
            wide = self.value(f"icmp sge i64 {own}, {array.size}")
            between = self.value(f"and i1 {between}, {wide}")
            found = self.value(f"or i1 {found}, {between}")
        return found

    def magnitude(self, stride: int) -> str:
        down = self.value(f"icmp slt i64 %a.{stride}, 0")
        back = self.value(f"sub i64 0, %a.{stride}")
        return self.value(f"select i1 {down}, i64 {back}, i64 %a.{stride}")

    def reach(self, array: LaunchedArray, axis: int) -> str:
        steps = self.value(f"sub i64 %a.{array.shape[axis]}, 1")
        reach = self.value(f"mul i64 {steps}, {self.magnitude(array.strides[axis])}")
        none = self.value(f"icmp slt i64 {steps}, 0")
        return self.value(f"select i1 {none}, i64 0, i64 {reach}")

    # -- copies

    def make_copies(self, item: SharedArray, wanted: str) -> str:
        """Emit the copies of a shadow, and return whether all went well so far."""
        number = item.extra
        self.emit(f"%bytes.{number} = sub i64 %high.{number}, %low.{number}")
        # Copies do not share a line of the cache.
        room = self.value(f"add i64 %bytes.{number}, 127")
        self.emit(f"%stride.{number} = and i64 {room}, -64")
        self.emit(f"%shadow.{number} = inttoptr i64 %low.{number} to ptr")
        maker = "zeros" if item.sharing is Sharing.SUM else "copies"
        self.emit(
            f"%copies.{number} = call ptr @coenzyme.private.{maker}"
            f"(ptr %shadow.{number}, i64 %bytes.{number}, i64 %stride.{number}, i64 %a.2, i1 {wanted})"
        )
        return self.value(f"icmp ne ptr %copies.{number}, null")

    def fill_table(self, private: Sequence[SharedArray], wanted: str) -> None:
        """Emit what gives each chunk its extra arguments."""
        self.label("rows")
        self.emit("%c = phi i64 [ 0, %entry ], [ %c.next, %row ]")
        self.emit("%filled = icmp eq i64 %c, %a.2")
        self.emit("br i1 %filled, label %run, label %row")
        self.label("row")
        self.emit("%row.start = mul i64 %c, " + str(len(self.frame.extras)))
        later = self.value("icmp ne i64 %c, 0")
        own = self.value(f"and i1 {later}, {wanted}")
        copied = {item.extra: item for item in private}
        for extra in range(len(self.frame.extras)):
            given = f"%a.{len(self.frame.primal) + extra}"
            if extra in self.outputs:
                given = self.value(f"getelementptr {self.outputs[extra]}, ptr %out.{extra}, i64 %c")
            elif extra in copied:
                given = self.private_address(copied[extra], given, own)
            place = self.value(f"add i64 %row.start, {extra}")
            slot = self.value(f"getelementptr ptr, ptr %table, i64 {place}")
            self.emit(f"store ptr {given}, ptr {slot}, align 8")
        self.emit("%c.next = add i64 %c, 1")
        self.emit("br label %rows")

    def private_address(self, item: SharedArray, shadow: str, own: str) -> str:
        """Emit the place in the copy of chunk `%c` that stands for `shadow`."""
        number = item.extra
        which = "%c" if item.sharing is Sharing.JOIN else self.value("sub i64 %c, 1")
        offset = self.value(f"mul i64 {which}, %stride.{number}")
        start = self.value(f"ptrtoint ptr {shadow} to i64")
        within = self.value(f"sub i64 {start}, %low.{number}")
        place = self.value(f"add i64 {offset}, {within}")
        address = self.value(f"getelementptr i8, ptr %copies.{number}, i64 {place}")
        absent = self.value(f"icmp eq ptr {shadow}, null")
        kept = self.value(f"select i1 {absent}, ptr null, ptr {address}")
        return self.value(f"select i1 {own}, ptr {kept}, ptr {shadow}")

    def bring_together(self, item: SharedArray) -> None:
        """Emit what adds the copies to the shadow."""
        number = item.extra
        elements = self.value(f"udiv i64 %bytes.{number}, {float_size(item.element)}")
        memory = (f"ptr %shadow.{number}", f"ptr %copies.{number}")
        fields = (*memory, f"i64 {elements}", f"i64 %stride.{number}", "i64 %a.2")
        frame = self.value("alloca [5 x i64], align 8")
        for position, entry in enumerate(fields):
            slot = self.value(f"getelementptr i64, ptr {frame}, i64 {position}")
            self.emit(f"store {entry}, ptr {slot}, align 8")
        many = self.value(f"icmp ugt i64 {elements}, {_MANY}")
        task = task_symbol(item.sharing, item.element)
        self.emit(f'call void @coenzyme.launch(ptr @"{task}", ptr {frame}, i64 %a.2, i1 {many})')

    def add_up(self, extra: int, type: str) -> None:
        """Emit the sum of the adjoints that the chunks found for one parameter."""
        head, body, done = f"sum.{extra}", f"sum.{extra}.next", f"sum.{extra}.done"
        self.emit(f"br label %{head}.start")
        self.label(f"{head}.start")
        self.emit(f"br label %{head}")
        self.label(head)
        self.emit(f"%i.{extra} = phi i64 [ 0, %{head}.start ], [ %i.{extra}.next, %{body} ]")
        self.emit(f"%total.{extra} = phi {type} [ 0.0, %{head}.start ], [ %total.{extra}.next, %{body} ]")
        end = self.value(f"icmp eq i64 %i.{extra}, %a.2")
        self.emit(f"br i1 {end}, label %{done}, label %{body}")
        self.label(body)
        slot = self.value(f"getelementptr {type}, ptr %out.{extra}, i64 %i.{extra}")
        own = self.value(f"load {type}, ptr {slot}")
        self.emit(f"%total.{extra}.next = fadd {type} %total.{extra}, {own}")
        self.emit(f"%i.{extra}.next = add i64 %i.{extra}, 1")
        self.emit(f"br label %{head}")
        self.label(done)
        self.emit(f"store {type} %total.{extra}, ptr %a.{len(self.frame.primal) + extra}")
