"""The derivatives that are kept on disk between processes: where they are, and how to be rid of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from coenzyme.frontends.numba_cache import counts, store

__all__ = ["CacheInfo", "clear", "info"]


@dataclass(frozen=True)
class CacheInfo:
    """What is kept on disk, and what use this process has made of it.

    Attributes
    ----------
    folder
        Where; None if nothing is kept.
    files, size, limit
        How many derivatives there are, how many bytes they take, and how many they may take.
    hits, misses, refused
        How many derivatives this process has found there, has had to compile, and has compiled that cannot be
        kept.
    """

    folder: Path | None
    files: int
    size: int
    limit: int
    hits: int
    misses: int
    refused: int


def info() -> CacheInfo:
    """Return what is kept on disk.

    Examples
    --------
    >>> import coenzyme as cz
    >>> cz.cache.info().hits
    0
    """
    kept = store()
    mine = counts["hits"], counts["misses"], counts["refused"]
    if kept is None:
        return CacheInfo(None, 0, 0, 0, *mine)
    found = kept.contents()
    return CacheInfo(kept.folder, found.files, found.size, kept.limit, *mine)


def clear() -> int:
    """Remove all derivatives that are kept on disk, and return how many they were.

    Processes that run go on with those they have.
    """
    kept = store()
    return 0 if kept is None else kept.clear()
