"""Does anything grow? The pipeline as fast as it goes over recorded bundles, its process watched from /proc/self."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from airside.alerts.jsonl import JsonLinesWriter
from airside.messages import FrameBundle
from airside.progress import Progress
from eval.drive.running import Runner, bundle_at
from eval.drive.stored import StoredDrive
from training.apron_drives import TICK_S

SAMPLES = 200  # over the run
_WARM_UP = 0.1  # of the run: tables, caches and the allocator's arenas fill
_WINDOW = 0.1  # of the run: medians of this much at the start (after warming up) and at the end are compared


@dataclass(frozen=True, slots=True)
class Footing:
    """What a process holds at one moment."""

    memory_bytes: int
    threads: int
    files: int


def footing() -> Footing:
    """Of this process, from /proc/self."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    status = Path("/proc/self/status").read_text()
    threads = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Threads:"))
    files = len(os.listdir("/proc/self/fd")) - 1  # the listing's own
    return Footing(pages * os.sysconf("SC_PAGE_SIZE"), threads, files)


def soak(step: Callable[[int], object], ticks: int, look: Callable[[], Footing] = footing) -> dict[str, Any]:
    """Take ``ticks`` steps; how much more is held at the end than after warming up.

    ``memory_growth`` is a share, of medians over windows; threads and files: after warming up and at the end.
    """
    every = max(1, ticks // SAMPLES)
    samples: list[Footing] = []
    with Progress("ticks of the soak", ticks) as progress:
        for tick in range(ticks):
            step(tick)
            if (tick + 1) % every == 0:
                samples.append(look())
            progress.step()
    return growth(samples, ticks)


def growth(samples: Sequence[Footing], ticks: int) -> dict[str, Any]:
    """As :func:`soak`, from samples evenly over the run."""
    start, width = int(len(samples) * _WARM_UP), max(1, int(len(samples) * _WINDOW))
    early, late = samples[start : start + width], samples[-width:]
    before, after = (float(np.median([s.memory_bytes for s in part])) for part in (early, late))
    return {
        "ticks": ticks,
        "memory_growth": after / before - 1,
        "memory_mb": [round(before / 2**20, 1), round(after / 2**20, 1)],
        "highest_mb": round(max(s.memory_bytes for s in samples) / 2**20, 1),
        "threads": [early[0].threads, late[-1].threads],
        "files": [early[0].files, late[-1].files],
    }


def soak_pipeline(drives: Sequence[StoredDrive], runner: Runner, ticks: int, out: Path) -> dict[str, Any]:
    """The pipeline and its JSON lines over ``drives`` again and again, under one clock that never goes back."""
    pipeline, bundles = runner.pipeline(drives[0]), _endless(drives)
    with JsonLinesWriter(out) as writer:
        return soak(lambda _: writer.write(pipeline.tick(next(bundles)).record), ticks)


def _endless(drives: Sequence[StoredDrive]) -> Iterator[FrameBundle]:
    numbers = count(1)
    while True:
        for drive in drives:
            for tick in range(drive.ticks):
                bundle, number = bundle_at(drive, tick), next(numbers)
                now_ns = round(number * TICK_S * 1e9)
                frames = tuple(replace(frame, capture_ns=now_ns, index=number) for frame in bundle.frames)
                yield FrameBundle(now_ns, frames)
