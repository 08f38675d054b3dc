"""One MCAP file of ROS 2 messages that survives its writer: synced chunks stay readable whatever comes after."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from airside.alerts.ros2_types import Ros2Types
from airside.errors import StorageError, UnavailableError

CHUNK_BYTES = 4 << 20


class McapFile:
    """Written by one thread. Messages wait in a chunk until :meth:`sync` or until it is full.

    A write that does not fit is taken back: the file then ends with its last whole record, and is to be left with
    :meth:`abandon`. Raises :class:`StorageError`, and :class:`UnavailableError` where `mcap` is not installed.
    """

    def __init__(self, path: Path, types: Ros2Types) -> None:
        try:
            from mcap.writer import CompressionType, Writer
        except ImportError:
            raise UnavailableError(
                "recordings need the package mcap, which is not installed: pip install 'airside[vehicle]'"
            ) from None
        self.path, self._types = path, types
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._start_bytes = 0
        try:
            self._stream = _WholeWrites(path)
        except OSError as error:
            raise self._storage_error(error) from None
        self._writer: Any = Writer(
            self._stream,  # type: ignore[arg-type]  # all that it calls is there
            chunk_size=CHUNK_BYTES,
            compression=CompressionType.LZ4,  # pictures are compressed already
        )
        try:
            self._writer.start(profile="ros2", library="airside")
        except OSError as error:
            self.abandon()
            raise self._storage_error(error) from None
        self._start_bytes = self._stream.tell()

    @property
    def size_bytes(self) -> int:
        """What has reached the file."""
        return self._stream.tell()

    def write(self, topic: str, message: Any, *, log_ns: int, sequence: int = 0) -> None:
        """Append ``message``, a ROS 2 message, to ``topic``; its times are ``log_ns`` of the ROS clock."""
        data = self._types.encode(message)
        try:
            channel = self._channel(topic, message.__msgtype__)
            self._writer.add_message(channel, log_ns, data, log_ns, sequence)
        except OSError as error:
            raise self._storage_error(error) from None

    def sync(self) -> None:
        """Close the chunk; on return all that was written is on the disk."""
        try:
            self._writer.flush()
            self._stream.sync()
        except OSError as error:
            raise self._storage_error(error) from None

    def finish(self) -> None:
        """Write the index and close. Without the index (no space) the file is as readable as after a kill."""
        try:
            self._writer.finish()
            self._stream.sync()
        except OSError as error:
            raise self._storage_error(error) from None
        finally:
            self._stream.close()

    def abandon(self) -> None:
        """Close without an index. A file into which no chunk ever went is taken away."""
        empty = self._stream.tell() <= self._start_bytes
        self._stream.close()
        if empty:
            self.path.unlink(missing_ok=True)

    def _channel(self, topic: str, kind: str) -> int:
        if topic not in self._channels:
            if kind not in self._schemas:
                definition = self._types.definition(kind).encode()
                self._schemas[kind] = self._writer.register_schema(kind, "ros2msg", definition)
            self._channels[topic] = self._writer.register_channel(
                topic, "cdr", self._schemas[kind], {"offered_qos_profiles": ""}
            )
        return self._channels[topic]

    def _storage_error(self, error: OSError) -> StorageError:
        return StorageError(f"recording {self.path}: {error.strerror}; free space or choose another folder")


class _WholeWrites:
    """A new file that holds whole writes only. Unbuffered: the writer hands over whole chunks."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._length = 0

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._length)
                os.lseek(self._fd, self._length, os.SEEK_SET)
            raise
        self._length += len(data)
        return len(data)

    def tell(self) -> int:
        return self._length

    def flush(self) -> None:
        """Nothing is held back."""

    def sync(self) -> None:
        os.fsync(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
