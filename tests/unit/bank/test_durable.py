"""Durable writes: the order of the system calls, every failure of the disk, and the lock."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from airside.bank.durable import NotSyncedError, sync_folder, temp_files, write_durably, writer_lock
from airside.errors import StorageError

ADVICE_FROM_ERRNO = [
    (errno.ENOSPC, "free space"),
    (errno.EDQUOT, "free space"),
    (errno.EFBIG, "ulimit -f"),
    (errno.EROFS, "mount it writable"),
    (errno.EACCES, "give this user rights"),
    (errno.EPERM, "give this user rights"),
    (errno.EIO, "copy the bank to another"),
    (errno.EBUSY, "check the disk"),
]


def failing(number: int) -> Callable[..., int]:
    def fail(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    return fail


def test_the_order_that_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def recorded(name: str, original: Callable[..., object]) -> Callable[..., object]:
        def call(first: object, *rest: object, **named: object) -> object:
            is_file = isinstance(first, int) and os.path.isfile(f"/proc/self/fd/{first}")
            calls.append(f"{name} {'file' if is_file else 'folder'}" if name == "fsync" else name)
            return original(first, *rest, **named)

        return call

    for name in ("write", "fsync", "replace"):
        monkeypatch.setattr(os, name, recorded(name, getattr(os, name)))
    write_durably(tmp_path / "file", b"new")
    assert calls == ["write", "fsync file", "replace", "fsync folder"]
    assert (tmp_path / "file").read_bytes() == b"new"


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data[:3])))
    write_durably(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


@pytest.mark.parametrize(("number", "advice"), ADVICE_FROM_ERRNO)
@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_a_failure_leaves_the_old_contents_and_no_temporary_file(
    call: str, number: int, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(number))
        with pytest.raises(StorageError, match=advice) as caught:
            write_durably(tmp_path / "file", b"new")
    assert not isinstance(caught.value, NotSyncedError)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_that_cannot_be_synced_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def file_only(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", file_only)
    with pytest.raises(NotSyncedError, match="input/output"):
        write_durably(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_what_is_not_a_folder_cannot_be_synced_or_listed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="syncing"):
        sync_folder(tmp_path / "file")
    with pytest.raises(StorageError, match="listing"):
        temp_files(tmp_path / "file")
    assert temp_files(tmp_path / "none") == []


def test_the_lock_excludes_and_names_its_holder(tmp_path: Path) -> None:
    with (
        writer_lock(tmp_path / ".lock", 1.0),
        pytest.raises(StorageError, match=rf"pid {os.getpid()}.*Nothing was written"),
        writer_lock(tmp_path / ".lock", 0.05),
    ):
        pass
    with writer_lock(tmp_path / ".lock", 0.0):
        pass


def test_the_lock_is_waited_for(tmp_path: Path) -> None:
    order: list[str] = []
    held = threading.Event()

    def first() -> None:
        with writer_lock(tmp_path / ".lock", 1.0):
            held.set()
            order.append("first in")
            threading.Event().wait(0.1)
            order.append("first out")

    thread = threading.Thread(target=first)
    thread.start()
    held.wait()
    with writer_lock(tmp_path / ".lock", 10.0):
        order.append("second in")
    thread.join()
    assert order == ["first in", "first out", "second in"]


def test_a_lock_that_cannot_be_made_or_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError, match="opening the lock file"), writer_lock(tmp_path / "none" / ".lock", 0.0):
        pass
    monkeypatch.setattr("fcntl.flock", failing(errno.ENOLCK))
    with pytest.raises(StorageError, match="locking"), writer_lock(tmp_path / ".lock", 0.0):
        pass


def test_the_lock_works_where_its_number_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", failing(errno.ENOSPC))
    with writer_lock(tmp_path / ".lock", 0.0):
        pass
