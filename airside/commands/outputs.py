"""Everything that a tick's result goes to: JSON lines, the ROS 2 wire, the recording, the metrics, the watchdog.

Open it before the first tick, :meth:`Outputs.publish` each tick's record, close it at the end. Nothing here stops a
drive: what fails is said once, counted, tried again, and named in :attr:`Outputs.reasons`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from airside.alerts.between_ticks import BetweenTicks
from airside.alerts.jsonl import JsonLinesWriter
from airside.alerts.mcap_recorder import McapRecorder
from airside.alerts.publishers import FanOut, Publisher, PublisherState
from airside.alerts.recording_messages import RecordedCamera
from airside.alerts.zenoh_ros2 import ZenohPublisher
from airside.config.publish import PublishConfig
from airside.messages import Frame, Occupancy, TickRecord
from airside.operations.metrics import Metrics
from airside.operations.watchdog import Watchdog


class Outputs:
    """``out`` gets ``alerts.jsonl`` and, where the settings say so, ``recording/drive_0001.mcap``.

    ``offset_ns`` leads from the records' clock to the ROS clock: live
    :func:`airside.alerts.ros2_messages.ros_clock_offset_ns`, in a replay the recording's own, or 0. ``live``: the
    records' clock is this machine's monotonic one, and the time between ticks is filled on the wire.

    Raises :class:`AirsideError` when something that the settings ask for cannot be had (a package, a port, the
    folder); what was opened is closed again. A router or a peer that is not there is no error.
    """

    def __init__(
        self,
        out: Path,
        config: PublishConfig,
        *,
        cameras: Sequence[RecordedCamera] = (),
        offset_ns: int = 0,
        live: bool = False,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._overlay = config.recorder.overlay
        self._recorder: McapRecorder | None = None
        self._metrics: Metrics | None = None
        self._watchdog = Watchdog.from_environment()
        self._ready = False
        with contextlib.ExitStack() as opened:
            self._metrics = Metrics(config.metrics.port) if config.metrics.enabled else None
            if self._metrics is not None:
                opened.callback(self._metrics.close)
            publishers: list[Publisher] = [JsonLinesWriter(out / "alerts.jsonl")]
            opened.callback(publishers[0].close)
            if config.zenoh.enabled:
                wire: Publisher = ZenohPublisher(config.zenoh, offset_ns)
                publishers.append(BetweenTicks(wire, config.zenoh.rate_hz) if live else wire)
                opened.callback(publishers[-1].close)
            if config.recorder.enabled:
                self._recorder = McapRecorder(out / "recording", config.recorder, offset_ns, cameras)
                publishers.append(self._recorder)
            opened.pop_all()
        self._fan = FanOut(publishers, say)

    def publish(
        self,
        record: TickRecord,
        occupancy: Occupancy | None = None,
        frames: Iterable[Frame] = (),
        *,
        duration_ms: float,
    ) -> None:
        """A finished tick: its record, its grid where it is a new one, the frames it looked at. Raises nothing."""
        if self._recorder is not None:
            self._recorder.add_frames(frames)
        self._fan.publish(record, occupancy)
        if self._metrics is not None:
            states = ((s.name, s.fault is not None, s.faults, s.dropped) for s in self._fan.states)
            self._metrics.tick(record, duration_ms, states)
        status = f"tick {record.tick}: {record.health.state.value}, {record.level.name}, {duration_ms:.0f} ms"
        if not self._ready:
            self._watchdog.ready(status)
            self._ready = True
        self._watchdog.tick(status)

    def overlay(self, picture: np.ndarray, record: TickRecord) -> None:
        """The drawn picture [H, W, 3] uint8 RGB of ``record``, for the recording."""
        if self._recorder is not None and self._overlay:
            self._recorder.add_overlay(picture, record.capture_ns)

    @property
    def reasons(self) -> tuple[str, ...]:
        """``publisher_<name>`` of what fails now: the next tick is DEGRADED for it."""
        return self._fan.reasons

    @property
    def states(self) -> tuple[PublisherState, ...]:
        return self._fan.states

    def close(self) -> None:
        """Finish every file and leave the wire. Raises nothing."""
        self._watchdog.stopping()
        self._fan.close()
        if self._metrics is not None:
            self._metrics.close()
            self._metrics = None
        self._watchdog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
