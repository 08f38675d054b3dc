"""The live loop under the real clock: cameras that play a drive at their own rate, ticks that must not wait.

Everything that ``airside run`` does with live cameras is done: reader threads that decode, the workload that sheds, one
line of JSON a tick on the disk.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from airside.cameras.live_rig import LiveRig, decode_gap_s
from airside.commands.feeds import live_feed
from airside.commands.live_duty import LiveDuty
from airside.commands.watching import watch
from airside.config import SiteConfig
from airside.messages import TickRecord
from airside.workload import rear_cameras
from eval.drive.running import Runner
from eval.drive.soak import footing
from eval.drive.stored import StoredDrive, as_jpeg, rig_of
from eval.live_sources import PacedCamera

FPS = 15.0
_WARM_UP = 10  # ticks: the tables are made, the readers are started


class TickClock:
    """Takes each record when its tick has been published."""

    def __init__(self) -> None:
        self.done: list[tuple[int, int, int]] = []  # tick's own time, newest frame taken, published; monotonic ns
        self.reasons: Counter[str] = Counter()

    def __call__(self, record: TickRecord) -> None:
        self.done.append((record.now_ns, record.capture_ns, time.monotonic_ns()))
        self.reasons.update(record.health.reasons)


def live_run(drive: StoredDrive, runner: Runner, minutes: float, out: Path) -> dict[str, Any]:
    """Play ``drive``'s cameras for ``minutes`` and measure the ticks; files go to ``out``."""
    site, rig = runner.site, rig_of(drive.plan)
    ticks = max(_WARM_UP + 1, round(minutes * 60_000 / site.tick_ms))
    films = zip(drive.cameras, _films_of(drive), strict=True)
    paced = {name: PacedCamera(film, FPS, label=name) for name, film in films}
    clock, before = TickClock(), footing()
    sources = {name: camera.source for name, camera in paced.items()}
    with LiveRig(sources, decode_gap_s=decode_gap_s(site.tick_ms)) as cameras:
        duty = LiveDuty(tick_ms=site.tick_ms, rear=rear_cameras(rig.cameras), say=print)
        pipeline = runner.pipeline(drive)
        end_s = time.monotonic() + minutes * 60
        watch(
            live_feed(cameras, site.tick_ms),
            pipeline,
            out,
            picture=None,
            max_ticks=ticks,
            stop=lambda: time.monotonic() > end_s,
            on_record=clock,
            duty=duty,
        )
        after = footing()
    return {
        **tick_figures(clock.done, site),
        "minutes": minutes,
        "cameras": len(paced),
        "fps": FPS,
        "engine": runner.engine_name,
        "health_reasons": dict(clock.reasons.most_common(12)),
        "memory_mb": [round(footing_.memory_bytes / 2**20, 1) for footing_ in (before, after)],
        "threads": after.threads,
    }


def tick_figures(done: Sequence[tuple[int, int, int]], site: SiteConfig) -> dict[str, Any]:
    """Shares and ages from (tick's own time, newest frame taken, published) in ns, without the first ticks.

    A tick that the grid had room for and that never came counts as one that was late.
    """
    times = np.array(done[_WARM_UP:], np.float64) / 1e6
    if len(times) < 2:
        return {"ticks": 0, "within_200ms": None, "age_p50_ms": None, "age_p99_ms": None}
    took, age = times[:, 2] - times[:, 0], times[:, 2] - times[:, 1]
    wanted = max(len(times), round(float(times[-1, 0] - times[0, 0]) / site.tick_ms) + 1)
    return {
        "ticks": len(times),
        "left_out": wanted - len(times),
        "within_200ms": float((took <= site.tick_ms).sum() / wanted),
        "tick_p50_ms": float(np.median(took)),
        "tick_p99_ms": float(np.quantile(took, 0.99)),
        "age_p50_ms": float(np.median(age)),
        "age_p99_ms": float(np.quantile(age, 0.99)),
    }


def _films_of(drive: StoredDrive) -> list[list[bytes]]:
    """Each camera's pictures, forth and back, as JPEG: whoever plays them decodes them."""
    ticks = [[as_jpeg(picture) for picture in drive.pictures(tick)] for tick in range(drive.ticks)]
    return [[tick[camera] for tick in ticks + ticks[-2:0:-1]] for camera in range(len(drive.cameras))]
