"""An MCAP file with ROS 2 messages, also one whose recorder was killed or of which a part is damaged.

Read from its beginning, chunk by chunk, without its index: what was written completely is there whatever became of the
rest.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from airside.cameras.bag_messages import BagMessage, OnDamage
from airside.cameras.unpack import MAX_BYTES, recording_library, unpack
from airside.errors import InputError

_MAGIC = b"\x89MCAP0\r\n"
# What the library raises, beside its own errors, on bytes that are no record.
_DAMAGE = (struct.error, ValueError, OverflowError, MemoryError, KeyError, TypeError, OSError)


class McapFile:
    """See :class:`BagFile`; memory for one chunk is needed. Raises :class:`InputError` for a file that is no MCAP.

    Chunks come in the order of the file, the messages within one in the order of their log times.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records = recording_library("mcap.records")
        self._stream = recording_library("mcap.stream_reader")
        self._reader = recording_library("mcap.reader")
        self._faults = (recording_library("mcap.exceptions").McapError, *_DAMAGE)
        self._check_magic()
        self.topics: dict[str, str] = {}
        self.span_ns: tuple[int, int] | None = None
        if not self._read_summary():
            self._read_through()

    def messages(self, topics: Collection[str], on_damage: OnDamage) -> Generator[BagMessage, None, None]:
        names: dict[int, str] = {}  # channel -> topic
        for record in self._all_records(on_damage):
            if isinstance(record, self._records.Channel) and record.message_encoding == "cdr":
                names[record.id] = record.topic
            elif isinstance(record, self._records.Message) and names.get(record.channel_id) in topics:
                yield BagMessage(names[record.channel_id], record.log_time, record.data)

    def _check_magic(self) -> None:
        try:
            with self._path.open("rb") as file:
                magic = file.read(len(_MAGIC))
        except OSError as error:
            raise InputError(f"recording {self._path}: cannot be read ({error.strerror}); check its rights") from None
        if magic != _MAGIC:
            said = "is empty" if not magic else "is no MCAP file by its first bytes"
            raise InputError(f"recording {self._path}: {said}; copy it again from its source")

    def _read_summary(self) -> bool:
        """Topics and span from the end of the file, where a complete one has them."""
        try:
            with self._path.open("rb") as file:
                summary = self._reader.SeekingReader(file, record_size_limit=MAX_BYTES).get_summary()
        except self._faults:
            return False
        if summary is None or summary.statistics is None:
            return False
        if len(summary.channels) < summary.statistics.channel_count:
            return False
        for channel in summary.channels.values():
            self._add_topic(channel, summary.schemas)
        if summary.statistics.message_count:
            self.span_ns = (summary.statistics.message_start_time, summary.statistics.message_end_time)
        return True

    def _read_through(self) -> None:
        """The same from the whole file; what is damaged is told when its messages are read."""
        schemas: dict[int, Any] = {}
        for record in self._all_records(lambda reason, message: None):
            if isinstance(record, self._records.Schema):
                schemas[record.id] = record
            elif isinstance(record, self._records.Channel):
                self._add_topic(record, schemas)
            elif isinstance(record, self._records.Message):
                first, last = self.span_ns or (record.log_time, record.log_time)
                self.span_ns = (min(first, record.log_time), max(last, record.log_time))

    def _add_topic(self, channel: Any, schemas: dict[int, Any]) -> None:
        schema = schemas.get(channel.schema_id)
        if channel.message_encoding == "cdr" and schema is not None:
            self.topics[channel.topic] = schema.name

    def _all_records(self, on_damage: OnDamage) -> Iterator[Any]:
        """Schemas, channels and messages; chunks unpacked."""
        with self._path.open("rb") as file:
            reader = self._stream.StreamReader(file, emit_chunks=True, record_size_limit=MAX_BYTES)
            try:
                for record in reader.records:
                    if isinstance(record, self._records.Chunk):
                        yield from self._chunk(record, on_damage)
                    else:
                        yield record
            except self._faults as error:
                why = str(error) or type(error).__name__
                at = f"after {file.tell():,} bytes"
                on_damage("ended_early", f"recording {self._path}: is cut off or damaged {at} ({why})")

    def _chunk(self, chunk: Any, on_damage: OnDamage) -> list[Any]:
        try:
            data = unpack(chunk.data, chunk.compression)
            if len(data) != chunk.uncompressed_size:
                raise InputError(f"{len(data):,} of {chunk.uncompressed_size:,} bytes")
            if chunk.uncompressed_crc and zlib.crc32(data) != chunk.uncompressed_crc:
                raise InputError("its checksum is another")
            records = self._stream.breakup_chunk(replace(chunk, data=data, compression=""))
        except (InputError, *self._faults) as error:
            on_damage("damaged", f"recording {self._path}: a chunk cannot be used ({error})")
            return []
        # Sorting keeps the order of equals: schemas and channels stay before the first message.
        return sorted(records, key=lambda record: getattr(record, "log_time", -1))
