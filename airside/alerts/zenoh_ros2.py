"""The ROS 2 wire without a ROS installation: CDR over Eclipse Zenoh, as rmw_zenoh's subscribers expect it.

One thread owns the session: it opens it, with retries, sends what :meth:`ZenohPublisher.publish` leaves for it and
looks at the connection. So neither a missing router, nor a peer that is gone or frozen, ever holds up a tick.
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from dataclasses import dataclass

from airside.alerts.rmw_zenoh import WireTopic
from airside.alerts.ros2_messages import (
    detected_objects,
    detections,
    diagnostics,
    holds_at_ns,
    occupancy_grid,
    tick_text,
)
from airside.alerts.ros2_types import DETECTIONS, DIAGNOSTICS, GRID, OBJECTS, TEXT, Ros2Types, ros2_types
from airside.alerts.zenoh_session import ZenohSession, require_zenoh
from airside.config.publish import ZenohConfig
from airside.errors import AirsideError, UnavailableError
from airside.messages import Occupancy, TickRecord

RETRY_S = 0.5  # between two attempts to open a session, and between two looks at the connection
WAITING_RECORDS = 4  # more than these are older than what follows them: the oldest is dropped
_CLOSE_S = 2.0  # Zenoh waits ten seconds for a peer that no longer reads; that may go on beside other work ...
_EXIT_S = 15.0  # ... but must be over before the process ends

_TOPICS = (
    ("unknown_objects", DETECTIONS),
    ("detected_objects", OBJECTS),
    ("diagnostics", DIAGNOSTICS),
    ("tick", TEXT),
    ("occupancy", GRID),
)


def wire_topics(prefix: str, types: Ros2Types) -> tuple[WireTopic, ...]:
    """What is published under ``prefix``, in the order of sending: unknown_objects, detected_objects, diagnostics,
    tick, occupancy."""
    return tuple(WireTopic(f"{prefix}/{name}", kind, types.type_hash(kind)) for name, kind in _TOPICS)


def messages_of(
    types: Ros2Types, record: TickRecord, occupancy: Occupancy | None, offset_ns: int, sequence: int
) -> tuple[bytes, ...]:
    """The CDR of every topic, in the order of :func:`wire_topics`; the last one only where there is a grid."""
    made = [
        tick_text(types, record),  # the first to refuse a number that is not finite
        detections(types, record, offset_ns),
        detected_objects(types, record, offset_ns),
        diagnostics(types, record, offset_ns, sequence),
    ]
    text, *others = (types.encode(message) for message in made)
    if occupancy is None:
        return (*others, text)
    return (*others, text, types.encode(occupancy_grid(types, occupancy, holds_at_ns(record), offset_ns)))


@dataclass(frozen=True, slots=True)
class _Item:
    sequence: int
    record: TickRecord
    occupancy: Occupancy | None


class ZenohPublisher:
    """Publishes every record, predicted ones too, numbered from 1: the same number in all messages of a record, in
    their attachments and in the diagnostics. The numbers go on through a new session.

    ``offset_ns`` leads from the records' clock to the ROS clock. ``blocking`` makes Zenoh wait for a slow peer where
    it would drop: for tests that count. A frozen peer is noticed by Zenoh after ten seconds only.

    Raises :class:`UnavailableError` where `eclipse-zenoh` or `rosbags` is not installed.
    """

    name = "zenoh"

    def __init__(self, config: ZenohConfig, offset_ns: int, *, blocking: bool = False) -> None:
        require_zenoh()
        self._config, self._offset_ns, self._blocking = config, offset_ns, blocking
        self._types = ros2_types()
        self._topics = wire_topics(config.topic_prefix, self._types)
        self._changed = threading.Condition()  # guards all below
        self._waiting: deque[_Item] = deque()
        self._sequence = self._dropped = self._sent = 0
        self._busy = self._closed = self._connected = False
        self._unconnected: str | None = None  # why, once it was tried
        self._refused: str | None = None  # why the latest record did not go out
        self._thread = threading.Thread(target=self._run, name="airside-zenoh", daemon=True)
        self._thread.start()

    @property
    def fault(self) -> str | None:
        with self._changed:
            return self._unconnected or self._refused

    @property
    def dropped(self) -> int:
        with self._changed:
            return self._dropped

    @property
    def sent(self) -> int:
        """Records handed to Zenoh while somebody was connected."""
        with self._changed:
            return self._sent

    @property
    def connected(self) -> bool:
        """Whether a router or a peer is there."""
        with self._changed:
            return self._connected

    def publish(self, record: TickRecord, occupancy: Occupancy | None) -> None:
        """Leave ``record`` for the thread; never waits. Raises :class:`UnavailableError` after :meth:`close`."""
        with self._changed:
            if self._closed:
                raise UnavailableError("the Zenoh publisher is closed")
            self._sequence += 1
            self._waiting.append(_Item(self._sequence, record, occupancy))
            while len(self._waiting) > WAITING_RECORDS:
                self._waiting.popleft()
                self._dropped += 1
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Whether everything given to it has left for Zenoh, or was dropped, within ``timeout_s``."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout_s)

    def close(self) -> None:
        """Send what is waiting, if somebody is there, and leave the graph."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(_CLOSE_S)
        if self._thread.is_alive():  # inside Zenoh, which aborts the process when Python ends around it
            atexit.register(self._thread.join, _EXIT_S)

    def _run(self) -> None:
        session: ZenohSession | None = None
        while not self._done():
            if session is None:
                session = self._opened()
            if session is not None:
                self._look(session)
            item = self._next()
            if item is not None and session is not None:
                self._send(session, item)
        if session is not None:
            session.close()

    def _done(self) -> bool:
        with self._changed:
            return self._closed and not (self._connected and self._waiting)

    def _opened(self) -> ZenohSession | None:
        try:
            return ZenohSession(self._config, self._topics, blocking=self._blocking)
        except AirsideError as error:
            with self._changed:
                self._unconnected = str(error)
            return None

    def _look(self, session: ZenohSession) -> None:
        connected = session.connected
        where = ", ".join((*self._config.connect, *self._config.listen))
        with self._changed:
            self._connected = connected
            self._unconnected = None if connected else f"nobody is there ({where}); start the router or the subscriber"

    def _next(self) -> _Item | None:
        """What to send next; ``None`` after a pause without anything. While nobody is there, what waits is dropped."""
        with self._changed:
            if not self._connected:
                self._dropped += len(self._waiting)
                self._waiting.clear()
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closed, RETRY_S)
                return None
            self._changed.wait_for(lambda: bool(self._waiting) or self._closed, RETRY_S)
            if not self._waiting:
                return None
            self._busy = True
            return self._waiting.popleft()

    def _send(self, session: ZenohSession, item: _Item) -> None:
        refused = None
        try:
            messages = messages_of(self._types, item.record, item.occupancy, self._offset_ns, item.sequence)
            session.put(messages, item.sequence, item.record.published_ns + self._offset_ns)
        except AirsideError as error:
            refused = str(error)
        except Exception as error:  # a defect here must not end the thread: the next record may pass
            refused = f"{type(error).__name__}: {error}"
        with self._changed:
            self._busy, self._refused = False, refused
            self._sent += refused is None
            self._dropped += refused is not None
            self._changed.notify_all()
