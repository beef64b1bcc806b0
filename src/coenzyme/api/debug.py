"""Derivatives made by fewer passes: to find out what a pass is worth, or whether it is to blame."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from coenzyme.analysis.passes import NO_PASSES, Pass, passes_in_force, put_in_force

__all__ = ["Pass", "tape_everything", "without"]


@contextmanager
def tape_everything() -> Generator[None, None, None]:
    """Let derivatives be made by no pass at all: what cannot be trivially computed again is taped.

    It is the plain derivative, by which all others are tested: should it differ from what a function has
    without, by more than rounding, an improvement is to blame, and that is an error to report.

    Yields
    ------
    None
        All derivatives made or called in the block are plain ones.

    Notes
    -----
    What is compiled is compiled separately, and kept beside the derivatives made otherwise. The block counts
    for the thread, or the asynchronous task, that runs it. Compiled code that takes derivatives keeps those
    it was compiled with; the same holds for derivatives in a function that is itself differentiated.

    Examples
    --------
    >>> import coenzyme as cz
    >>> with cz.debug.tape_everything():
    ...     cz.grad(lambda x: x * x)(3.0)
    6.0
    """
    with put_in_force(NO_PASSES):
        yield


@contextmanager
def without(*passes: Pass) -> Generator[None, None, None]:
    """Let derivatives be made without some of the passes.

    Parameters
    ----------
    *passes
        Those to leave out, beside those that are left out already.

    Yields
    ------
    None
        All derivatives made or called in the block are made so, as in `tape_everything`.

    Examples
    --------
    >>> import coenzyme as cz
    >>> gradient = cz.grad(lambda x: x * x)
    >>> with cz.debug.without(cz.debug.Pass.GATHER, cz.debug.Pass.REPLAY):
    ...     gradient(3.0)
    6.0
    """
    with put_in_force(passes_in_force().difference(passes)):
        yield
