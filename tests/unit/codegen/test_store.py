"""Files of code: whole or not at all, private, and not too many."""

import os
import stat
import sys

import pytest

from coenzyme.codegen.store import Contents, Store

KEY = "a" * 64
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="there are no permissions of this kind")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "of" / "code", 10_000)


def file_of(store):
    (path,) = store.folder.iterdir()
    return path


def test_a_payload_is_found_under_its_key_alone(store):
    assert store.load(KEY) is None
    store.save(KEY, b"code")
    assert store.load(KEY) == b"code"
    assert store.load("b" * 64) is None
    store.save(KEY, b"other code")
    assert store.load(KEY) == b"other code"


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[:10],
        lambda data: b"",
        lambda data: data + b"!",
        lambda data: data.replace(b"code", b"kode", 2),
        lambda data: bytes([data[0] ^ 1]) + data[1:],
    ],
)
def test_a_damaged_file_is_not_read_and_is_written_again(store, damage):
    store.save(KEY, b"the code itself")
    path = file_of(store)
    data = path.read_bytes()
    damaged = damage(data)
    assert damaged != data
    path.write_bytes(damaged)
    assert store.load(KEY) is None
    store.save(KEY, b"the code itself")
    assert store.load(KEY) == b"the code itself"


@posix_only
def test_folder_and_files_are_their_owners_alone(store):
    store.save(KEY, b"code")
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file_of(store).stat().st_mode) == 0o600


@posix_only
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_can_write_is_not_used(store, mode):
    store.save(KEY, b"code")
    store.folder.chmod(mode)
    assert store.load(KEY) is None
    store.save("b" * 64, b"code")
    assert len(list(store.folder.iterdir())) == 1


@posix_only
def test_a_file_that_others_can_write_is_not_read(store):
    store.save(KEY, b"code")
    file_of(store).chmod(0o666)
    assert store.load(KEY) is None


@posix_only
def test_a_folder_of_another_user_is_not_used(store, monkeypatch):
    store.save(KEY, b"code")
    monkeypatch.setattr(os, "getuid", lambda: store.folder.stat().st_uid + 1)
    assert store.load(KEY) is None


def test_where_no_folder_can_be_made_nothing_is_kept(tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file" / "code", 10_000)
    store.save(KEY, b"code")
    assert store.load(KEY) is None
    assert store.contents() == Contents(0, 0)
    assert store.clear() == 0


def test_what_has_not_been_read_for_longest_goes_first(store):
    for i, key in enumerate("abcde"):
        store.save(key * 64, b"x" * 1900)
        os.utime(store.folder / f"{key * 64}.code", ns=(i * 10**9, i * 10**9))
    assert store.contents().files == 5
    assert store.load("a" * 64) is not None
    store.save("f" * 64, b"x" * 1900)
    assert store.load("b" * 64) is None
    assert store.load("a" * 64) is not None
    assert store.load("f" * 64) is not None
    assert store.contents().size <= 10_000


def test_a_store_can_be_cleared(store):
    store.save(KEY, b"code")
    assert store.clear() == 1
    assert store.load(KEY) is None
