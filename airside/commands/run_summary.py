"""What a run was like: counts, speed and where the time went, as JSON and as a page to read."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airside.commands.table import table
from airside.messages import HealthState, Kind, Level, RangeSource
from airside.pipeline import Tick

STAGES = (
    *("decode", "fit", "network", "bank_search", "regions", "path", "depth", "fusion", "bev", "alerts"),
    *("publish", "overlay", "video", "stills", "closing"),
)  # in their order


class RunSummary:
    """Collects while a run goes on. ``waiting`` for a live camera is not counted as work."""

    def __init__(self) -> None:
        self.ticks = 0
        self.invalid_ticks = 0
        self.levels: Counter[Level] = Counter()
        self.health: Counter[HealthState] = Counter()
        self.reasons: Counter[str] = Counter()
        self.named: Counter[str] = Counter()  # ticks in which a known class was reported
        self.unknown_ticks = 0
        self.faults: Counter[str] = Counter()
        self.range_sources: Counter[RangeSource] = Counter()  # sightings with a place
        self.without: tuple[str, ...] = ()  # what rig and model could not give
        self.snapshots: list[str] = []  # in order of use
        self.filmed = False
        self._stage_s: defaultdict[str, float] = defaultdict(float)
        self._start_s = time.perf_counter()
        self._wall_s = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The time of the ``with`` block belongs to ``name``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._stage_s[name] += time.perf_counter() - start

    def add(self, tick: Tick) -> None:
        record = tick.record
        self.ticks += 1
        self.invalid_ticks += not record.valid
        self.levels[record.level] += 1
        self.health[record.health.state] += 1
        self.reasons.update(record.health.reasons)
        self.named.update({s.region.name for s in record.sightings if s.region.kind is Kind.KNOWN})
        self.unknown_ticks += any(s.region.kind is Kind.UNKNOWN for s in record.sightings)
        self.range_sources.update(s.placement.source for s in record.sightings if s.placement is not None)
        if record.bank_snapshot not in self.snapshots:
            self.snapshots.append(record.bank_snapshot)
        for stage, ms in tick.timing_ms.items():
            self._stage_s[stage] += ms / 1e3

    def finish(self, faults: Counter[str]) -> None:
        """The last file is closed."""
        self.faults += faults
        self._wall_s = time.perf_counter() - self._start_s

    @property
    def throughput_hz(self) -> float:
        """Ticks a second of work, everything included; how often the loop could run, not how often it was asked to."""
        busy_s = self._wall_s - self._stage_s["waiting"]
        return self.ticks / busy_s if busy_s > 0 else 0.0

    @property
    def stage_ms(self) -> dict[str, float]:
        """Mean milliseconds a tick, by stage; ``other`` is what no stage claims."""
        ticks = max(self.ticks, 1)
        known = [stage for stage in STAGES if stage in self._stage_s]
        extra = [stage for stage in self._stage_s if stage not in STAGES and stage != "waiting"]
        stages = {stage: self._stage_s[stage] * 1e3 / ticks for stage in (*known, *extra)}
        busy_ms = (self._wall_s - self._stage_s["waiting"]) * 1e3 / ticks
        return stages | {"other": max(0.0, busy_ms - sum(stages.values()))}

    def as_json(self) -> dict[str, Any]:
        return {
            "ticks": self.ticks,
            "invalid_ticks": self.invalid_ticks,
            "ticks_with_unknown": self.unknown_ticks,
            "levels": {level.name: self.levels[level] for level in Level},
            "health": {state.value: self.health[state] for state in HealthState},
            "health_reasons": dict(self.reasons),
            "named_ticks": dict(self.named),
            "range_sources": {source.value: self.range_sources[source] for source in RangeSource},
            "without": list(self.without),
            "camera_faults": dict(self.faults),
            "bank_snapshots": self.snapshots,
            "throughput_hz": round(self.throughput_hz, 3),
            "wall_s": round(self._wall_s, 3),
            "waiting_s": round(self._stage_s["waiting"], 3),
            "stage_ms": {stage: round(ms, 3) for stage, ms in self.stage_ms.items()},
        }

    def as_text(self) -> str:
        levels = ", ".join(f"{level.name} {self.levels[level]}" for level in Level if self.levels[level])
        health = ", ".join(f"{state} {self.health[state]}" for state in HealthState if self.health[state])
        lines = [
            f"{self.ticks} ticks, {self.unknown_ticks} with something unknown; "
            f"highest level a tick: {levels or 'none'}",
            f"health: {health or 'none'}" + _listed(self.reasons, " (", ")"),
        ]
        if self.named:
            lines.append("named" + _listed(self.named, ": ", ""))
        lines += [f"without: {lack}" for lack in self.without]
        if self.faults:
            lines.append("camera faults" + _listed(self.faults, ": ", ""))
        stages = self.stage_ms
        total = sum(stages.values()) or 1.0
        rows = [(name, f"{ms:.1f}", f"{ms / total:.0%}") for name, ms in stages.items()]
        rows.append(("together", f"{total:.1f}", ""))
        lines += ["", table(("where the time goes", "ms a tick", "share"), rows, right="lrr"), ""]
        lines.append(f"throughput {self.throughput_hz:.1f} Hz, everything included")
        return "\n".join(lines)


def _listed(counts: Counter[str], before: str, after: str) -> str:
    shown = ", ".join(f"{name} {count}" for name, count in counts.most_common(8))
    return f"{before}{shown}{after}" if shown else ""
