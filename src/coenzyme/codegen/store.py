"""Files of machine code in a folder that only its owner can write.

A file is written whole under another name and then renamed, so that a reader sees all of it or nothing, and
processes need no locks. It begins with a digest of the rest: what is truncated or damaged is not read.
Nothing here raises: where files cannot be read or written, there are none.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Contents", "Store"]

_MAGIC = b"coenzyme cache 1\n"
_SUFFIX = ".code"
_DIGEST = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Contents:
    """What a store holds."""

    files: int
    size: int
    """In bytes."""


class Store:
    """Payloads by key, one file for each.

    Parameters
    ----------
    folder
        Where the files are; it is made, for its owner alone, when the first one is written.
    limit
        How many bytes to keep: beyond, what has not been read for the longest time is removed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     store = Store(Path(folder) / "cache", limit=1000)
    ...     store.save("key", b"payload")
    ...     store.load("key"), store.load("another"), store.contents()
    (b'payload', None, Contents(files=1, size=56))
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit

    def load(self, key: str) -> bytes | None:
        """Return the payload of a key, None if there is none that can be trusted."""
        path = self._path(key)
        try:
            if not _is_private(os.stat(self.folder)):
                return None
            with path.open("rb") as file:
                if not _is_private(os.fstat(file.fileno())):
                    return None
                data = file.read()
        except OSError:
            return None
        start = len(_MAGIC) + _DIGEST
        payload = data[start:]
        if data[:start] != _MAGIC + hashlib.sha256(payload).digest():
            return None
        with suppress(OSError):
            os.utime(path)
        return payload

    def save(self, key: str, payload: bytes) -> None:
        """Keep a payload, in the place of an earlier one with the same key."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_private(os.stat(self.folder)):
                return
            handle, temporary = tempfile.mkstemp(dir=self.folder)  # readable and writable by its owner alone
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_MAGIC + hashlib.sha256(payload).digest() + payload)
                os.replace(temporary, self._path(key))
            except OSError:
                with suppress(OSError):
                    os.unlink(temporary)
                return
        except OSError:
            return
        self._evict()

    def clear(self) -> int:
        """Remove all files, and return how many they were."""
        removed = 0
        for _, _, path in self._files():
            with suppress(OSError):
                path.unlink()
                removed += 1
        return removed

    def contents(self) -> Contents:
        """Return how many files there are, and their size."""
        sizes = [size for _, size, _ in self._files()]
        return Contents(len(sizes), sum(sizes))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _files(self) -> list[tuple[int, int, Path]]:
        """Return when each file was last read, its size and its path, the oldest first."""
        found: list[tuple[int, int, Path]] = []
        with suppress(OSError):
            for entry in os.scandir(self.folder):
                # What a process that was killed has left under another name counts too, and goes in turn.
                with suppress(OSError):
                    if entry.is_file(follow_symlinks=False):
                        facts = entry.stat(follow_symlinks=False)
                        found.append((facts.st_mtime_ns, facts.st_size, Path(entry.path)))
        return sorted(found)

    def _evict(self) -> None:
        files = self._files()
        size = sum(one for _, one, _ in files)
        for _, one, path in files:
            if size <= self.limit:
                return
            with suppress(OSError):
                path.unlink()
            size -= one


def _is_private(facts: os.stat_result) -> bool:
    """Return whether a file or folder is this user's, and nobody else can write it."""
    if not hasattr(os, "getuid"):
        return True  # on Windows, the folder of the user's own data keeps others out
    return facts.st_uid == os.getuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
