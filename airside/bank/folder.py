"""A bank's folder as a reader sees it: ``HEAD`` and ``snapshots/<number>-<first 12 digits of id>.zarr.zip``.

Nothing here writes or locks, so it works on a read-only disk and beside a running writer: a snapshot file never
changes, and ``HEAD`` is only ever replaced as a whole.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from airside.bank.bank import PrototypeBank
from airside.bank.durable import storage_error_from_os_error
from airside.bank.snapshot import SnapshotInfo, read_info, read_snapshot
from airside.errors import AirsideError, CorruptError, MismatchError, StorageError, UsageError

_HEAD_FORM = re.compile(r"([1-9]\d{0,8}) ([0-9a-f]{64})\n")
_FILE_FORM = re.compile(r"(\d{6,9})-([0-9a-f]{12})\.zarr\.zip")
_MIN_PREFIX = 4
_MAX_HEAD_BYTES = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """A snapshot by name: what ``HEAD`` or a file name says, before anything is read."""

    number: int
    id_start: str  # 12 or all 64 hex digits

    @property
    def file_name(self) -> str:
        return f"{self.number:06d}-{self.id_start[:12]}.zarr.zip"


class BankFolder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.snapshots = path / "snapshots"
        self.head_file = path / "HEAD"
        self.lock_file = path / ".lock"

    def command(self, words: str) -> str:
        """The mending command to show: ``airside bank <words> --bank DIR``."""
        return f"airside bank {words} --bank {shlex.quote(str(self.path))}"

    def file_of(self, entry: Entry) -> Path:
        return self.snapshots / entry.file_name

    def entries(self) -> list[Entry]:
        """Every snapshot file by number, acknowledged or not. Raises :class:`UsageError` where there is no bank."""
        try:
            names = [p.name for p in self.snapshots.iterdir()]
        except (FileNotFoundError, NotADirectoryError) as error:
            if self.head_file.exists():
                raise CorruptError(f"{self.snapshots} is missing: restore it from a copy of this bank") from error
            raise self._no_bank() from error
        except OSError as error:
            raise storage_error_from_os_error("listing", self.snapshots, error) from error
        found = [_FILE_FORM.fullmatch(name) for name in names]
        return sorted((Entry(int(m[1]), m[2]) for m in found if m), key=lambda e: (e.number, e.id_start))

    def head(self) -> Entry:
        """The acknowledged version, from ``HEAD`` alone: one small read."""
        try:
            with self.head_file.open("rb") as file:
                text = file.read(_MAX_HEAD_BYTES).decode("ascii", "replace")
        except (FileNotFoundError, NotADirectoryError) as error:
            if self.entries():
                raise CorruptError(f"{self.head_file} is missing, but snapshots are there: {self._mend()}") from error
            raise self._no_bank() from error
        except OSError as error:
            raise storage_error_from_os_error("reading", self.head_file, error) from error
        match = _HEAD_FORM.fullmatch(text)
        if match is None:
            raise CorruptError(f"{self.head_file}: wanted '<number> <id>', got {text[:80]!r}: {self._mend()}")
        return Entry(int(match[1]), match[2])

    def resolve(self, ref: str) -> Entry:
        """``HEAD``, a number, or the first 4 or more digits of an id."""
        if ref == "HEAD":
            return self.head()
        entries = self.entries()
        found = [e for e in entries if ref.isascii() and ref.isdigit() and len(ref) < 10 and e.number == int(ref)]
        if not found and re.fullmatch(rf"[0-9a-f]{{{_MIN_PREFIX},64}}", ref):
            found = [e for e in entries if e.id_start.startswith(ref[:12])]
            if len(ref) > 12:
                found = [e for e in found if read_info(self.file_of(e)).id.startswith(ref)]
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(f"{e.number} ({e.id_start})" for e in found)
            raise UsageError(f"{ref!r} fits several snapshots of {self.path}: {names}: give more digits or the number")
        raise UsageError(
            f"no snapshot {ref!r} in {self.path}: wanted HEAD, a number, or {_MIN_PREFIX} to 64 hex digits of an id; "
            f"see {self.command('log')}"
        )

    def read(self, entry: Entry) -> tuple[PrototypeBank, SnapshotInfo]:
        """The snapshot, its hash verified, and that it is the one named. Damage says how to go back."""
        try:
            bank, info = read_snapshot(self.file_of(entry))
            self._require_named(entry, info)
        except CorruptError as error:
            raise CorruptError(f"{error}; {self._mend(damaged=entry)}") from error
        return bank, info

    def info(self, entry: Entry) -> SnapshotInfo:
        """As :meth:`read`, but only what the file says of itself: quick, the hash is not checked."""
        try:
            info = read_info(self.file_of(entry))
            self._require_named(entry, info)
        except CorruptError as error:
            raise CorruptError(f"{error}; {self._mend(damaged=entry)}") from error
        return info

    def history(self, entry: Entry) -> list[SnapshotInfo]:
        """``entry`` and its ancestors, newest first. Raises :class:`CorruptError` where the chain is broken."""
        newest = self.info(entry)
        try:
            return self._with_ancestors(newest)
        except CorruptError as error:
            raise CorruptError(
                f"the history of snapshot {entry.number} is broken: {error}: restore that file from a copy, or start a "
                f"new line of history with: {self.command(f'rollback {entry.number}')}"
            ) from error

    def newest_intact(self, *, other_than: Entry | None = None) -> SnapshotInfo | None:
        """The highest numbered snapshot that is whole and whose history is; ``None`` where there is none."""
        for entry in reversed(self.entries()):
            if other_than is not None and entry.number == other_than.number:
                continue
            try:
                _, info = read_snapshot(self.file_of(entry))
                self._require_named(entry, info)
                self._with_ancestors(info)
            except (CorruptError, MismatchError, StorageError):
                continue
            return info
        return None

    def _with_ancestors(self, newest: SnapshotInfo) -> list[SnapshotInfo]:
        number_from_id_start = {e.id_start: e.number for e in reversed(self.entries())}  # of copies, the first one's
        infos = [newest]
        while (parent := infos[-1].parent) is not None:
            number = number_from_id_start.get(parent[:12])
            if number is None or number >= infos[-1].number:
                raise CorruptError(f"snapshot {infos[-1].number} was made from {parent[:12]}, which is missing")
            older = Entry(number, parent)
            infos.append(read_info(self.file_of(older)))
            self._require_named(older, infos[-1])
        return infos

    def _require_named(self, entry: Entry, info: SnapshotInfo) -> None:
        if info.number != entry.number or not info.id.startswith(entry.id_start):
            raise CorruptError(
                f"snapshot {self.file_of(entry)} holds number {info.number}, id {info.id[:12]}; wanted number "
                f"{entry.number}, id {entry.id_start[:12]}"
            )

    def _mend(self, damaged: Entry | None = None) -> str:
        try:
            intact = self.newest_intact(other_than=damaged)
        except AirsideError:  # the folder cannot even be listed; the first error is the one to show
            intact = None
        ref = "REF" if intact is None else str(intact.number)
        return f"look with {self.command('verify')}, go back with {self.command(f'rollback {ref}')}"

    def _no_bank(self) -> UsageError:
        return UsageError(
            f"no bank at {self.path}: give --bank an existing bank's folder, or make one with: {self.command('init')}"
        )
