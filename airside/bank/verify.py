"""Is everything in a bank's folder what it claims to be?"""

from __future__ import annotations

from dataclasses import dataclass

from airside.bank.durable import TEMP_PREFIX, temp_files
from airside.bank.folder import BankFolder
from airside.bank.snapshot import SnapshotInfo
from airside.errors import AirsideError, CorruptError, MismatchError, StorageError


@dataclass(frozen=True, slots=True)
class VerifyReport:
    snapshots: int  # files found
    intact: int  # of them, those whose hash, number and name agree
    head: SnapshotInfo | None  # None where HEAD leads nowhere
    problems: tuple[str, ...]  # something is damaged; each line says what
    notes: tuple[str, ...]  # harmless leftovers: unacknowledged snapshots, temporary files

    @property
    def ok(self) -> bool:
        return not self.problems


def verify_folder(folder: BankFolder) -> VerifyReport:
    """Read everything, change nothing, hold no lock. Raises :class:`UsageError` where there is no bank."""
    problems: list[str] = []
    notes: list[str] = []
    head_entry, head = None, None
    try:
        head_entry = folder.head()  # before the listing: a commit in between then only adds a note
    except (CorruptError, StorageError) as error:
        problems.append(str(error))

    try:
        entries = folder.entries()
    except CorruptError as error:
        return VerifyReport(0, 0, None, (*problems, str(error)), ())
    info_from_id: dict[str, SnapshotInfo] = {}
    for entry in entries:
        try:
            _, info = folder.read(entry)
            info_from_id[info.id] = info
        except (CorruptError, MismatchError, StorageError) as error:
            problems.append(str(error))

    in_history: set[str] = set()
    if head_entry is not None:
        head = info_from_id.get(head_entry.id_start)
        if head_entry.number not in {e.number for e in entries}:
            problems.append(f"HEAD names snapshot {head_entry.number}, but {folder.file_of(head_entry)} is missing")
        if head is not None and head.number == head_entry.number:
            try:
                in_history = {info.id for info in folder.history(head_entry)}
            except AirsideError as error:
                problems.append(str(error))
            else:
                notes.extend(
                    f"snapshot {info.number} ({info.id[:12]}) is whole but not in HEAD's history: never acknowledged, "
                    "or before a new line of history; it still loads by number"
                    for info in info_from_id.values()
                    if info.id not in in_history
                )

    for place in (folder.path, folder.snapshots):
        notes.extend(
            f"temporary file of a killed or running writer: {temp}; the next writer removes stale ones"
            for temp in temp_files(place)
        )
    expected = {entry.file_name for entry in entries}
    notes.extend(
        f"not a snapshot's name, never read: {stranger}"
        for stranger in sorted(folder.snapshots.iterdir())
        if stranger.name not in expected and not stranger.name.startswith(TEMP_PREFIX)
    )
    return VerifyReport(len(entries), len(info_from_id), head, tuple(problems), tuple(notes))
