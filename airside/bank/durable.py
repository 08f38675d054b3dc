"""Files that survive a power cut: written beside their place, synced, renamed; and the writers' lock.

Every failure of the disk becomes a :class:`StorageError` that says what to do, with the temporary file removed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from airside.errors import StorageError

TEMP_PREFIX = ".tmp-"
_LOCK_POLL_S = 0.01

_ADVICE_FROM_ERRNO = {
    errno.ENOSPC: "the disk is full: free space and try again",
    errno.EDQUOT: "the disk quota is used up: free space and try again",
    errno.EFBIG: "the file is larger than this process may write: raise the limit (ulimit -f) and try again",
    errno.EROFS: "the file system is read-only: mount it writable, or work on a copy",
    errno.EACCES: "no permission: give this user rights on the folder and its files",
    errno.EPERM: "no permission: give this user rights on the folder and its files",
    errno.EIO: "the disk reports an input/output error: check it, and copy the bank to another one",
}


class NotSyncedError(StorageError):
    """The new file is in place, but the folder could not be synced: a power cut now may bring the old one back."""


def advice_from_os_error(error: OSError) -> str:
    """What to do about it."""
    return _ADVICE_FROM_ERRNO.get(error.errno or 0, "check the disk and the folder, then try again")


def storage_error_from_os_error(doing: str, path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{doing} {path} failed ({error.strerror or error}): {advice_from_os_error(error)}. "
        "Nothing already stored was lost"
    )


def write_durably(path: Path, data: bytes) -> None:
    """Make ``path`` hold ``data``: after a crash at any moment it holds the old contents or the new, never a part.

    Raises :class:`NotSyncedError` when the new contents are in place but not yet safe from a power cut, any other
    :class:`StorageError` when ``path`` is as it was.
    """
    temp = path.parent / f"{TEMP_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    try:
        try:
            _write_and_sync(temp, data)
            os.replace(temp, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temp.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise storage_error_from_os_error("writing", path, error) from error
    try:
        sync_folder(path.parent)
    except StorageError as error:
        raise NotSyncedError(str(error)) from error


def _write_and_sync(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` survive a power cut."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise storage_error_from_os_error("syncing", folder, error) from error


def temp_files(folder: Path) -> list[Path]:
    """What killed writers left in ``folder`` (and, without the lock, what a live one is writing)."""
    try:
        return sorted(p for p in folder.iterdir() if p.name.startswith(TEMP_PREFIX))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise storage_error_from_os_error("listing", folder, error) from error


@contextlib.contextmanager
def writer_lock(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold the exclusive lock file ``path``, against other processes and other threads.

    The kernel drops the lock when its holder dies, so a killed writer never blocks the next one. Raises
    :class:`StorageError` after ``timeout_s``. Not re-entrant.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise storage_error_from_os_error("opening the lock file", path, error) from error
    try:
        _wait_for_lock(descriptor, path, timeout_s)
        with contextlib.suppress(OSError):  # the number is only a courtesy to whoever waits
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _wait_for_lock(descriptor: int, path: Path, timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        except OSError as error:
            raise storage_error_from_os_error("locking", path, error) from error
        if time.monotonic() >= deadline_s:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace") or "unknown"
            raise StorageError(
                f"another process (pid {holder}) has been writing to this bank for {timeout_s:g} s and still holds "
                f"{path}: wait for it or end it, then try again. Nothing was written"
            )
        time.sleep(_LOCK_POLL_S)
