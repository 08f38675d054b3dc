"""A rosbag2 file in SQLite (``.db3``)."""

from __future__ import annotations

from collections.abc import Collection, Generator
from pathlib import Path
from typing import Any

from airside.cameras.bag_messages import BagMessage, OnDamage
from airside.cameras.unpack import recording_library
from airside.errors import InputError


class SqliteFile:
    """See :class:`BagFile`. Raises :class:`InputError` for a file that is none, or that is damaged at its root."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rosbag2 = recording_library("rosbags.rosbag2")
        self._faults = (self._rosbag2.ReaderError, recording_library("apsw").Error, OSError, ValueError, KeyError)
        try:
            with self._rosbag2.Reader(path) as reader:
                self.topics: dict[str, str] = {one.topic: one.msgtype for one in _in_cdr(reader)}
                has_any = reader.message_count > 0
                self.span_ns = (reader.start_time, reader.end_time - 1) if has_any else None
        except self._faults as error:
            raise InputError(
                f"recording {path}: truncated, damaged or no rosbag2 file ({error}); copy it again from its source, "
                f"or save what is left with: sqlite3 '{path}' .recover | sqlite3 NEW.db3"
            ) from None

    def messages(self, topics: Collection[str], on_damage: OnDamage) -> Generator[BagMessage, None, None]:
        try:
            with self._rosbag2.Reader(self._path) as reader:
                wanted = [one for one in _in_cdr(reader) if one.topic in topics]
                for connection, log_ns, data in reader.messages(wanted) if wanted else ():
                    yield BagMessage(connection.topic, log_ns, bytes(data))
        except self._faults as error:
            on_damage("ended_early", f"recording {self._path}: cannot be read further ({error})")


def _in_cdr(reader: Any) -> list[Any]:
    return [one for one in reader.connections if one.ext.serialization_format == "cdr"]
