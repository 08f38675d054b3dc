"""The prototype bank's versions on disk: atomic commits, a history that is never rewritten, and a way back.

A version is acknowledged when ``commit`` returns: its file and ``HEAD`` are synced to the disk by then. Killed or cut
off before that, the bank has the old version or the new one, and nothing in between.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from airside.bank.bank import PrototypeBank
from airside.bank.diff import BankDiff, diff_banks
from airside.bank.durable import (
    NotSyncedError,
    storage_error_from_os_error,
    sync_folder,
    temp_files,
    write_durably,
    writer_lock,
)
from airside.bank.folder import BankFolder, Entry
from airside.bank.snapshot import SnapshotInfo, zip_from_bank
from airside.bank.verify import VerifyReport, verify_folder
from airside.errors import CorruptError, StorageError, UsageError


class _HeadNotSyncedError(StorageError):
    """HEAD names the new snapshot, so its file must stay; only its safety from a power cut is in doubt."""


class BankStore:
    """One bank's folder. Making the object touches nothing; any number of readers and writers may share a folder.

    A ``ref`` is ``HEAD``, a snapshot's number, or the first 4 or more digits of its id. Where there is no bank every
    method raises :class:`UsageError`; a damaged one raises :class:`CorruptError` with the command that mends it; the
    disk's own failures are :class:`StorageError`.
    """

    def __init__(self, path: Path | str, *, lock_timeout_s: float = 30.0) -> None:
        self.path = Path(path)
        self.lock_timeout_s = lock_timeout_s
        self._folder = BankFolder(self.path)

    def create(self, bank: PrototypeBank, author: str, message: str) -> SnapshotInfo:
        """Write the first version, making the folder. Raises :class:`UsageError` where a bank already is."""
        _require_bank(bank)
        try:
            for folder in (self.path, self._folder.snapshots):
                folder.mkdir(parents=True, exist_ok=True)
                sync_folder(folder.parent)
        except FileExistsError as error:
            raise UsageError(f"{self.path} is a file: give the path of a folder for the bank") from error
        except OSError as error:
            raise storage_error_from_os_error("making the folder", self.path, error) from error
        with self._writing():
            self._require_no_history()
            return self._write(bank, None, author, message)

    def head_id(self) -> str:
        """The id of the current version, from ``HEAD`` alone: cheap enough to ask every tick."""
        return self._folder.head().id_start

    def head(self) -> SnapshotInfo:
        """The current version as its file describes it; quick, the contents are not checked."""
        return self._folder.info(self._folder.head())

    def load(self, ref: str = "HEAD") -> tuple[PrototypeBank, SnapshotInfo]:
        """The bank at ``ref``, its hash verified."""
        return self._folder.read(self._folder.resolve(ref))

    def commit(self, update: Callable[[PrototypeBank], PrototypeBank], author: str, message: str) -> SnapshotInfo:
        """Store ``update(current bank)`` as the next version and make it HEAD.

        ``update`` runs inside the writers' lock on the newest version, so two commits at once both land: keep it
        short, do the embedding before. What it raises is passed on, and nothing is written then.
        """
        self._folder.head()  # before the lock file is made: a mistyped path must not leave anything behind
        with self._writing():
            current, parent = self._folder.read(self._folder.head())
            return self._write(_require_bank(update(current)), parent.id, author, message)

    def rollback(self, ref: str, *, author: str = "rollback", message: str | None = None) -> SnapshotInfo:
        """Make the contents of ``ref`` current again, as a NEW version on top of the present history.

        Also the way out of damage: where HEAD is unreadable or its history broken, the new version continues the
        newest intact one. No file is ever removed.
        """
        self._folder.entries()
        with self._writing():
            bank, source = self.load(ref)
            parent = self._intact_head_id()
            if message is None:
                message = f"roll back to {source.number} ({source.id[:12]}): {source.message}"[:400]
            return self._write(bank, parent, author, message)

    def log(self) -> list[SnapshotInfo]:
        """HEAD and its ancestors, newest first. Raises :class:`CorruptError` where the chain is broken."""
        return self._folder.history(self._folder.head())

    def diff(self, a: str, b: str) -> BankDiff:
        """What changed from version ``a`` to version ``b``."""
        return diff_banks(self.load(a)[0], self.load(b)[0])

    def verify(self) -> VerifyReport:
        """Every snapshot's hash, the chain and HEAD; damage is reported, not raised. Writes nothing."""
        return verify_folder(self._folder)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """The writers' lock; whatever temporary file is there once it is held belongs to a dead writer."""
        with writer_lock(self._folder.lock_file, self.lock_timeout_s):
            for folder in (self.path, self._folder.snapshots):
                for stale in temp_files(folder):
                    with contextlib.suppress(OSError):  # a leftover is harmless; the write will say what is wrong
                        stale.unlink()
            yield

    def _write(self, bank: PrototypeBank, parent: str | None, author: str, message: str) -> SnapshotInfo:
        """Snapshot first, HEAD second: only a complete file is ever named by HEAD."""
        taken = [entry.number for entry in self._folder.entries()]
        # HEAD may name a number whose file is gone: it is taken all the same
        with contextlib.suppress(CorruptError, UsageError):
            taken.append(self._folder.head().number)
        created_utc = datetime.now(UTC).isoformat(timespec="milliseconds")
        data, info = zip_from_bank(
            bank,
            number=max(taken, default=0) + 1,
            parent=parent,
            author=author,
            message=message,
            created_utc=created_utc,
        )
        file = self._folder.file_of(Entry(info.number, info.id))
        try:
            write_durably(file, data)
            self._write_head(info)
        except StorageError as error:
            if not isinstance(error, _HeadNotSyncedError):
                with contextlib.suppress(OSError):
                    file.unlink(missing_ok=True)
            raise
        return info

    def _write_head(self, info: SnapshotInfo) -> None:
        try:
            write_durably(self._folder.head_file, f"{info.number} {info.id}\n".encode())
        except NotSyncedError as error:
            raise _HeadNotSyncedError(
                f"{error}. Snapshot {info.number} is current now, but a power cut may bring back the one before: mend "
                f"the disk, then check with {self._folder.command('log')}"
            ) from error

    def _intact_head_id(self) -> str | None:
        try:
            head = self._folder.head()
            self._folder.read(head)
            return self._folder.history(head)[0].id
        except CorruptError:
            intact = self._folder.newest_intact()
            return None if intact is None else intact.id

    def _require_no_history(self) -> None:
        """A ``create`` that was killed before HEAD may be repeated; anything else here is somebody's history."""
        if self._folder.head_file.exists():
            raise UsageError(
                f"{self.path} already holds a bank: add to it with airside register, or choose another one"
            )
        for entry in self._folder.entries():
            if self._folder.info(entry).parent is not None:
                raise CorruptError(
                    f"{self.path} has snapshots but no HEAD: {self._folder.command('rollback ' + str(entry.number))} "
                    "takes up the history, or choose another folder"
                )


def _require_bank(bank: object) -> PrototypeBank:
    if not isinstance(bank, PrototypeBank):
        raise UsageError(f"wanted a PrototypeBank to store, got {type(bank).__name__}")
    return bank
