"""The arguments of a call of Enzyme's functions are read: markers, values, shadows, seeds and the tape."""

from __future__ import annotations

from collections.abc import Sequence

from coenzyme.errors import ActivityError, UnsupportedIRError
from coenzyme.foreign.enzyme_plan import (
    TAPE_BYTES,
    Actual,
    CallPlan,
    EnzymeMode,
    Lane,
    Parameter,
    classify_type,
)
from coenzyme.frontends.program import ComponentActivity
from coenzyme.ir.types import PTR, VOID, FunctionType, Type

__all__ = ["plan_call"]

_ACTIVITIES = {
    "enzyme_dup": ComponentActivity.DUPLICATED,
    "enzyme_dupnoneed": ComponentActivity.DUPLICATED,
    "enzyme_dupv": ComponentActivity.DUPLICATED,
    "enzyme_dupnoneedv": ComponentActivity.DUPLICATED,
    "enzyme_out": ComponentActivity.ACTIVE,
    "enzyme_const": ComponentActivity.CONST,
}
_OF_RESULT = {
    "enzyme_const_return": ComponentActivity.CONST,
    "enzyme_active_return": ComponentActivity.ACTIVE,
    "enzyme_dup_return": ComponentActivity.DUPLICATED,
}
_READ_AHEAD = ("enzyme_primal_return", "enzyme_noret", "enzyme_strong_zero")
_WITHOUT_EFFECT = ("enzyme_runtime_activity", "enzyme_not_overwritten")
_FOLLOWED_BY_INTEGER = ("enzyme_width", "enzyme_allocated")


def plan_call(
    mode: EnzymeMode,
    function: FunctionType,
    actuals: Sequence[Actual],
    *,
    structure: Type | None = None,
    into_memory: bool = False,
) -> CallPlan:
    """Return what a call means.

    Parameters
    ----------
    function
        The type of the function to differentiate.
    actuals
        The arguments of the call, the function to differentiate among them.
    structure
        What the function writes to the memory that its first parameter points to, where that is its result.
    into_memory
        Whether the first argument is memory for what the call returns.

    Raises
    ------
    ActivityError
        Where the arguments do not fit the function.
    """
    return _Reader(mode, function, actuals, structure, into_memory).read()


class _Reader:
    def __init__(
        self,
        mode: EnzymeMode,
        function: FunctionType,
        actuals: Sequence[Actual],
        structure: Type | None,
        into_memory: bool,
    ) -> None:
        self.mode = mode
        self.function = function
        self.actuals = actuals
        self.structure = structure
        self.next = 1 + into_memory
        self.end = len(actuals)
        self.into_memory = into_memory
        self.width = 1
        self.result = classify_type(function.result, forward=mode.is_forward)
        self.primal_return = self.strong_zero = False
        self.returns_nothing = function.result == VOID
        self.tape: int | None = None
        self.tape_is_memory = False
        self.allocated: int | None = None
        self.keeps_tape = False
        self.context: int | None = None
        self.interleaved: int | None = None
        self.seeds: list[int] = []
        self.marked: ComponentActivity | None = None
        self.offset: int | None = None
        self.last = ComponentActivity.DUPLICATED

    def read(self) -> CallPlan:
        self._read_ahead()
        parameters = self._read_structure()
        for type in self.function.parameters[len(parameters) :]:
            parameters.append(self._read_parameter(type))
        self._read_rest()
        if self.mode is EnzymeMode.AUTODIFF and self.result is ComponentActivity.DUPLICATED:
            # Nothing is known of what the caller would do to the memory that a result leads to.
            self.result = ComponentActivity.CONST
        return CallPlan(
            mode=self.mode,
            parameters=tuple(parameters),
            width=self.width,
            returns=self.function.result,
            return_activity=self.result,
            seeds=tuple(self.seeds),
            primal_return=self.primal_return,
            tape=self.tape,
            tape_is_memory=self.tape_is_memory,
            keeps_tape=self.keeps_tape,
            context=self.context,
            structure=self.structure,
            strong_zero=self.strong_zero,
        )

    def _read_ahead(self) -> None:
        """Read what says something of the whole call, wherever it stands."""
        wanted = self.mode is EnzymeMode.AUGMENTED and not self.returns_nothing
        for position in range(self.next, len(self.actuals)):
            marker = self.actuals[position].marker
            if marker in _OF_RESULT:
                self.result = _OF_RESULT[marker]
            elif marker == "enzyme_primal_return":
                self.primal_return = True
            elif marker == "enzyme_strong_zero":
                self.strong_zero = True
            elif marker == "enzyme_noret":
                wanted = False
            elif marker == "enzyme_context" and position + 1 < len(self.actuals):
                self.width = self.actuals[position + 1].width or self.width
            elif marker == "enzyme_width":
                self.width = self._integer_after(position)
            elif marker == "enzyme_interleave" and self.interleaved is None:
                self.interleaved, self.end = position + 1, position
        if self.primal_return and (self.returns_nothing or self.mode.is_split):
            raise ActivityError(
                "the result of the function is asked for, and there is none"
                if self.returns_nothing
                else "the result of the function is returned by __enzyme_augmentfwd",
                operation="enzyme_primal_return",
                remedy="leave out enzyme_primal_return",
            )
        self.primal_return |= wanted
        if self.mode is EnzymeMode.AUGMENTED and not wanted and self.result is ComponentActivity.DUPLICATED:
            self.result = ComponentActivity.CONST

    def _integer_after(self, position: int) -> int:
        value = self.actuals[position + 1].value if position + 1 < len(self.actuals) else None
        if value is None or value < 1:
            raise ActivityError(
                "a positive integer that is known to the compiler must follow",
                operation=self.actuals[position].marker,
                remedy="write a number, or a name that the preprocessor replaces by one",
            )
        return value

    def _read_structure(self) -> list[Parameter]:
        """Return the parameter that leads to memory for the function's result, if there is one."""
        if self.structure is None:
            return []
        how = classify_type(self.structure, forward=True)
        if how is ComponentActivity.CONST:
            return [Parameter(PTR, how, None)]
        if self.mode.is_forward:
            if self.width > 1 or self.primal_return or not self.into_memory:
                raise UnsupportedIRError(
                    "a function that returns a large struct has one tangent, returned in a struct like it",
                    remedy="let the function write to memory that it is given a pointer to",
                )
            return [Parameter(PTR, how, None, (Lane(0),))]
        # In reverse mode what the caller passes first is the shadow of the struct.
        shadow = Lane(self.next)
        self.next += 1
        return [Parameter(PTR, how, None, (shadow,) * self.width)]

    # -- arguments one by one

    def _read_markers(self) -> None:
        """Read markers up to the next argument proper."""
        self.marked, self.offset = None, None
        while self.next < self.end:
            marker = self.actuals[self.next].marker
            if marker is None:
                return
            self.next += 1
            if marker in _ACTIVITIES:
                self.marked = _ACTIVITIES[marker]
                if marker.endswith("v"):
                    self.offset = self._take(marker)
            elif marker in _FOLLOWED_BY_INTEGER:
                value = self._integer_after(self.next - 1)
                if marker == "enzyme_allocated":
                    self.allocated = value
                self.next += 1
            elif marker == "enzyme_tape":
                self.tape, self.tape_is_memory = self._take(marker), True
            elif marker == "enzyme_context":
                self.context = self._take(marker)
            elif marker == "enzyme_nofree":
                self.keeps_tape = True
            elif marker in (*_OF_RESULT, *_WITHOUT_EFFECT, *_READ_AHEAD):
                continue
            else:
                raise UnsupportedIRError(
                    "a marker is not known",
                    operation=marker,
                    remedy="docs/enzyme.md lists those that are",
                )

    def _take(self, what: str) -> int:
        if self.next >= self.end:
            raise ActivityError(
                f"{what} is the last argument, and something must follow it",
                remedy="pass what the marker speaks of after it",
            )
        self.next += 1
        return self.next - 1

    def _read_parameter(self, type: Type) -> Parameter:
        self._read_markers()
        number = self.next
        if number >= self.end:
            raise ActivityError(
                f"the function takes {len(self.function.parameters)} arguments, and fewer are passed",
                operation=f"__enzyme_{self.mode.value}",
                remedy="pass each argument of the function, and after each pointer that is not enzyme_const "
                "its shadow",
            )
        self.next += 1
        default = classify_type(type, forward=self.mode.is_forward)
        how = self.marked or (self.last if self.interleaved is not None else default)
        self.last = how
        self._require_possible(type, how, default, number)
        lanes: tuple[Lane, ...] = ()
        if how is ComponentActivity.DUPLICATED:
            lanes = tuple(self._read_shadow(lane) for lane in range(self.width))
        if default is ComponentActivity.CONST:
            how, lanes = (
                ComponentActivity.CONST,
                (),
            )  # an integer has no derivative, whatever is passed with it
        return Parameter(type, how, number, lanes)

    def _require_possible(
        self, type: Type, how: ComponentActivity, default: ComponentActivity, number: int
    ) -> None:
        if how in (ComponentActivity.CONST, default) or default is ComponentActivity.CONST:
            return
        real = "a real number in reverse mode" if how is ComponentActivity.DUPLICATED else f"a {type}"
        raise ActivityError(
            f"argument {number} is {real}, whose derivative cannot be asked for in this way",
            argument=f"#{number}",
            operation="enzyme_dup" if how is ComponentActivity.DUPLICATED else "enzyme_out",
            remedy="mark a pointer enzyme_dup, and a number enzyme_out, in forward mode enzyme_dup; what is "
            "marked enzyme_dup is followed by its shadow",
        )

    def _read_shadow(self, lane: int) -> Lane:
        if self.interleaved is not None:
            position = self.interleaved
            self.interleaved += 1
        elif self.offset is not None and lane > 0:
            position = self.next - 1
        else:
            position = self.next
            self.next += 1
        if position >= len(self.actuals):
            raise ActivityError(
                "the shadow of the last argument is missing",
                operation=f"__enzyme_{self.mode.value}",
                remedy="pass a shadow after each pointer that is not enzyme_const",
            )
        return Lane(position, self.offset, lane if self.offset is not None else 0)

    def _read_rest(self) -> None:
        """Read what follows the arguments of the function: seeds, and the tape."""
        in_reverse = self.mode is EnzymeMode.REVERSE
        while True:
            self._read_markers()
            if self.next >= self.end:
                break
            if in_reverse and self.result is ComponentActivity.ACTIVE and not self.seeds:
                self.seeds = [self._take("seed") for _ in range(self.width)]
            elif in_reverse and self.tape is None:
                self.tape = self._take("tape")
            else:
                raise ActivityError(
                    f"there are more arguments than the function has parameters, from #{self.next} on",
                    operation=f"__enzyme_{self.mode.value}",
                    remedy="pass shadows only for pointers, and, in forward mode, for real numbers",
                )
        if in_reverse and self.tape is None:
            raise ActivityError(
                "the reverse sweep is not given the tape",
                operation="__enzyme_reverse",
                remedy="pass what __enzyme_augmentfwd returned as the last argument",
            )
        if self.tape_is_memory and (self.allocated is None or self.allocated < TAPE_BYTES):
            raise ActivityError(
                f"the memory for the tape must hold {TAPE_BYTES} bytes",
                operation="enzyme_allocated",
                remedy="pass enzyme_allocated and how many bytes there are",
            )
