"""What a vehicle asks of a run besides the tick itself: every publisher served whatever the others do, work shed when
there is too much, settings followed while they change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Protocol

from airside.alerts.jsonl import JsonLinesWriter
from airside.alerts.publishers import FanOut, Publisher
from airside.health import OK, worst
from airside.messages import Health, HealthState
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


class _NoDuty:
    """A recording: the whole work in every tick; a disk that is full ends the run."""

    def publishing(self, alerts: JsonLinesWriter) -> AbstractContextManager[Publish]:
        return nullcontext(lambda tick: alerts.publish(tick.record))

    def tick(self, pipeline: Pipeline) -> AbstractContextManager[Workload]:
        return nullcontext(FULL)


NO_DUTY: Duty = _NoDuty()


class LiveDuty:
    """A vehicle. ``rear`` cameras may wait under overload; ``say`` tells a person what began and ended."""

    def __init__(
        self,
        *,
        tick_ms: int,
        rear: Sequence[str],
        publishers: Sequence[Publisher],
        say: Callable[[str], None],
    ) -> None:
        self._period_s, self._rear, self._publishers, self._say = tick_ms / 1e3, rear, publishers, say
        self._load, self._ticks = Load(), 0
        self._fan_out: FanOut | None = None

    @contextmanager
    def publishing(self, alerts: JsonLinesWriter) -> Iterator[Publish]:
        fan_out = self._fan_out = FanOut([alerts, *self._publishers], self._say)
        try:
            yield lambda tick: fan_out.publish(tick.record, tick.occupancy)
        finally:
            fan_out.close()

    @contextmanager
    def tick(self, pipeline: Pipeline) -> Iterator[Workload]:
        workload = self._load.workload(self._ticks, self._rear)
        reasons = self._fan_out.reasons if self._fan_out is not None else ()
        own = Health(HealthState.DEGRADED, reasons) if reasons else OK
        begun_s = time.perf_counter()
        yield replace(workload, health=worst(workload.health, own))
        self._load = self._load.after(time.perf_counter() - begun_s, self._period_s)
        self._ticks += 1
