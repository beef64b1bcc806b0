"""Reading the data files of the benchmark: numbers separated by white space, counts first."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from coenzyme.errors import ParseError

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["Floats", "Integers", "NumberReader"]

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]


class NumberReader:
    """The numbers of one data file, taken from front to back.

    Parameters
    ----------
    path
        The file to read; None for the file shipped as `shipped`.
    shipped
        The name of a file in this package's `data` folder.

    Raises
    ------
    ParseError
        If something in the file is not a number.

    Examples
    --------
    >>> numbers = NumberReader(None, shipped="ba1_n49_m7776_p31843.txt")
    >>> numbers.counts(3)
    (49, 7776, 31843)
    >>> numbers.array(11)[:2]
    array([-0.758453, -1.109613])
    """

    def __init__(self, path: str | PathLike[str] | None, *, shipped: str) -> None:
        if path is None:
            self._source = shipped
            text = (resources.files("coenzyme.problems") / "data" / shipped).read_text(encoding="ascii")
        else:
            self._source = str(path)
            with open(path, encoding="ascii") as file:
                text = file.read()
        try:
            self._numbers = np.array(text.split(), dtype=np.float64)
        except ValueError as error:
            raise self._refuse(f"{self._source} holds something that is not a number: {error}") from error
        self._next = 0

    def counts(self, how_many: int) -> tuple[int, ...]:
        """Return the next numbers as non-negative integers."""
        taken = self.array(how_many)
        if not np.all(np.isfinite(taken) & (taken >= 0) & (taken == np.floor(taken))):
            raise self._refuse(f"{self._source} should state {how_many} counts, and states {taken.tolist()}")
        return tuple(int(number) for number in taken)

    def array(self, *shape: int) -> Floats:
        """Return the next numbers as a fresh C-ordered array of this shape."""
        size = int(np.prod(shape))
        taken = self._numbers[self._next : self._next + size]
        if taken.size < size:
            raise self._refuse(f"{self._source} ends {size - taken.size} numbers too early")
        self._next += size
        return taken.reshape(shape).copy()

    def finish(self) -> None:
        """Raise ParseError unless every number has been taken."""
        left = self._numbers.size - self._next
        if left:
            raise self._refuse(f"{self._source} goes on for {left} numbers after its end")

    def _refuse(self, message: str) -> ParseError:
        return ParseError(
            message, remedy="check the file against the format that the loader's docstring states"
        )
