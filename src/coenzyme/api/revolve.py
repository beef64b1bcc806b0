"""Where to put snapshots: the binomial schedule for a known number of steps.

With s snapshots, of which one is the state that a stretch of steps begins with, and no step run more than
r times, a stretch can have β(s, r) = (s + r)!/(s! r!) steps. One of n steps, β(s, r − 1) < n ≤ β(s, r), is
gone back over with t(n, s) = r n − β(s + 1, r − 1) steps run forward, and no schedule needs fewer.

Source: Griewank & Walther, "Algorithm 799: revolve" (2000), eqs. 1 to 3; Griewank (1992).

Compiled code calls these functions, and so does Python.
"""

from __future__ import annotations

from numba.extending import register_jitable

__all__ = ["advances", "binomial", "default_snapshots", "steps_before_snapshot"]

_REPEATS = 3


@register_jitable
def binomial(s: int, r: int) -> int:
    """Return β(s, r), the most steps that s snapshots and r runs of each step suffice for; 0 for negative r.

    Examples
    --------
    >>> binomial(3, 2)
    10
    """
    if r < 0:
        return 0
    most = 1
    for i in range(min(s, r)):
        most = most * (max(s, r) + i + 1) // (i + 1)
    return most


@register_jitable
def repeats(n: int, s: int) -> int:
    """Return the least r with β(s, r) ≥ n."""
    r = 0
    most = 1
    while most < n:
        r += 1
        most = most * (s + r) // r
    return r


@register_jitable
def steps_before_snapshot(n: int, s: int) -> int:
    """Return how far to run into a stretch of n ≥ 2 steps before the next snapshot is taken.

    Parameters
    ----------
    n
        The number of steps in the stretch.
    s
        The number of snapshots for it, the one it begins with included.

    Returns
    -------
    int
        Fewer than n. What remains then has s − 1 snapshots; n − 1 says that there is none to take.

    Notes
    -----
    Of all best choices this is the longest: it takes the fewest snapshots on the way.

    Examples
    --------
    >>> steps_before_snapshot(10, 3)
    4
    >>> steps_before_snapshot(10, 1)
    9
    """
    if s == 1:
        return n - 1
    r = repeats(n, s)
    return min(binomial(s, r - 1), n - binomial(s - 1, r - 1), n - 1)


@register_jitable
def default_snapshots(n: int) -> int:
    """Return the fewest snapshots with which no step is run more than three times on the way back.

    Examples
    --------
    >>> default_snapshots(10_000)
    38
    """
    s = 1
    while binomial(s, _REPEATS) < n:
        s += 1
    return s


def advances(n: int, s: int) -> int:
    """Return t(n, s), how many steps are run forward to go back over n steps with s snapshots.

    Examples
    --------
    >>> advances(10, 3)
    15
    """
    r = repeats(n, s)
    return r * n - binomial(s + 1, r - 1)
