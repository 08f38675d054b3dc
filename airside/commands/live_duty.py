"""What a vehicle asks of a run besides the tick itself: every publisher served whatever the others do, work shed when
there is too much, settings followed while they change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from airside.alerts.between_ticks import BetweenTicks
from airside.alerts.jsonl import JsonLinesWriter
from airside.alerts.mcap_recorder import McapRecorder
from airside.alerts.publishers import FanOut, Publisher
from airside.alerts.recording_messages import RecordedCamera
from airside.alerts.ros2_messages import holds_at_ns, ros_clock_offset_ns
from airside.alerts.zenoh_ros2 import ZenohPublisher
from airside.config import RigConfig, SiteConfig
from airside.config.publish import PublishConfig
from airside.errors import StorageError
from airside.health import OK, worst
from airside.messages import Health, HealthState
from airside.operations.metrics import Metrics
from airside.operations.settings_watch import Watched
from airside.operations.watchdog import Watchdog
from airside.pipeline import Pipeline, Tick
from airside.workload import FULL, Load, Workload

Publish = Callable[[Tick], None]


class Duty(Protocol):
    """Around each tick of a run."""

    def publishing(self, alerts: JsonLinesWriter) -> AbstractContextManager[Publish]:
        """For the whole run: where each tick goes, ``alerts`` among it."""
        ...

    def tick(self, pipeline: Pipeline) -> AbstractContextManager[Workload]:
        """For one tick: what it is to do, and what the loop itself has to say of its health."""
        ...

    def drawn(self, tick: Tick, picture: np.ndarray) -> None:
        """``picture`` [H, W, 3] uint8 RGB of ``tick`` has been drawn."""
        ...

    def not_kept(self, error: StorageError) -> None:
        """The disk takes no more of the film and the stills. Raises ``error`` where that ends the run."""
        ...


class _NoDuty:
    """A recording: the whole work in every tick; a disk that is full ends the run."""

    def publishing(self, alerts: JsonLinesWriter) -> AbstractContextManager[Publish]:
        return nullcontext(lambda tick: alerts.publish(tick.record))

    def tick(self, pipeline: Pipeline) -> AbstractContextManager[Workload]:
        return nullcontext(FULL)

    def drawn(self, tick: Tick, picture: np.ndarray) -> None:
        pass

    def not_kept(self, error: StorageError) -> None:
        raise error


NO_DUTY: Duty = _NoDuty()


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where a vehicle's ticks go besides the JSON lines; everything is open and runs in threads of its own."""

    publishers: tuple[Publisher, ...] = ()
    recorder: McapRecorder | None = None  # one of the publishers, which wants the pictures too
    overlay: bool = False  # it also wants what is drawn
    metrics: Metrics | None = None


def open_outlets(config: PublishConfig, rig: RigConfig, folder: Path) -> Outlets:
    """What ``config`` enables; recordings go to ``folder``.

    Raises :class:`airside.errors.UnavailableError` where a library or a port is missing, and
    :class:`airside.errors.StorageError` where ``folder`` cannot be made.
    """
    offset_ns = ros_clock_offset_ns()
    with ExitStack() as opened:
        metrics = recorder = None
        publishers: list[Publisher] = []
        if config.metrics.enabled:
            metrics = Metrics(config.metrics.port)
            opened.callback(metrics.close)
        if config.recorder.enabled:
            cameras = [RecordedCamera(c.name, c.pinhole, c.ego_from_cam.transform) for c in rig.cameras]
            recorder = McapRecorder(folder, config.recorder, offset_ns, cameras)
            opened.callback(recorder.close)
            publishers.append(recorder)
        if config.zenoh.enabled:
            publishers.append(BetweenTicks(ZenohPublisher(config.zenoh, offset_ns), config.zenoh.rate_hz))
        opened.pop_all()  # all of them are there: whoever runs the loop closes them
    return Outlets(tuple(publishers), recorder, overlay=config.recorder.overlay, metrics=metrics)


class LiveDuty:
    """A vehicle. ``rear`` cameras may wait under overload; ``site`` is followed while its file changes; ``watchdog`` is
    fed by finished ticks alone; ``say`` tells a person what began and ended."""

    def __init__(
        self,
        *,
        tick_ms: int,
        rear: Sequence[str],
        say: Callable[[str], None],
        outlets: Outlets = Outlets(),  # frozen and empty
        site: Watched[SiteConfig] | None = None,
        watchdog: Watchdog | None = None,
    ) -> None:
        self._period_s, self._rear, self._outlets, self._say = tick_ms / 1e3, rear, outlets, say
        self._site, self._watchdog = site, watchdog or Watchdog(None)
        self._site_fault: str | None = None
        self._load, self._ticks = Load(), 0
        self._fan_out: FanOut | None = None
        self._told: Tick | None = None

    @contextmanager
    def publishing(self, alerts: JsonLinesWriter) -> Iterator[Publish]:
        self._fan_out = FanOut([alerts, *self._outlets.publishers], self._say)
        try:
            yield self._publish
        finally:
            self._watchdog.stopping()
            self._fan_out.close()
            if self._outlets.metrics is not None:
                self._outlets.metrics.close()
            self._watchdog.close()

    @contextmanager
    def tick(self, pipeline: Pipeline) -> Iterator[Workload]:
        workload = self._load.workload(self._ticks, self._rear)
        reasons = (*self._followed_site(pipeline), *(self._fan_out.reasons if self._fan_out is not None else ()))
        own = Health(HealthState.DEGRADED, reasons) if reasons else OK
        if self._outlets.recorder is not None:
            self._outlets.recorder.follow_site(pipeline.site)
        begun_s = time.perf_counter()
        yield replace(workload, health=worst(workload.health, own))
        took_s = time.perf_counter() - begun_s
        self._load = self._load.after(took_s, self._period_s)
        self._finished(took_s)
        self._ticks += 1

    def drawn(self, tick: Tick, picture: np.ndarray) -> None:
        recorder = self._outlets.recorder
        if recorder is not None and self._outlets.overlay:
            recorder.add_overlay(picture, holds_at_ns(tick.record))

    def not_kept(self, error: StorageError) -> None:
        """What the planner needs goes on without."""
        self._say(f"the film is lost, and no more stills are kept: {error}")

    def _publish(self, tick: Tick) -> None:
        assert self._fan_out is not None
        self._told = tick
        if self._outlets.recorder is not None:
            self._outlets.recorder.add_frames(view.frame for view in tick.views)
        self._fan_out.publish(tick.record, tick.occupancy)

    def _followed_site(self, pipeline: Pipeline) -> tuple[str, ...]:
        if self._site is None:
            return ()
        pipeline.site = self._site.current()
        if self._site.fault != self._site_fault:
            self._site_fault = self._site.fault
            self._say(self._site_fault or "the site file is read again")
        return self._site.reasons

    def _finished(self, took_s: float) -> None:
        if self._told is None or self._fan_out is None:
            return
        record, status = self._told.record, f"tick {self._told.record.tick}, {self._told.record.level.name}"
        if self._ticks == 0:
            self._watchdog.ready(status)
        self._watchdog.tick(f"{status}, {record.health.state.value}")
        if self._outlets.metrics is not None:
            states = ((s.name, s.fault is not None, s.faults, s.dropped) for s in self._fan_out.states)
            self._outlets.metrics.tick(record, took_s * 1e3, states)
