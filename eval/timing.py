"""Times that can be compared: side by side, interleaved, after a warm-up, told as median and 99th percentile."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Timing:
    """Of one thing run ``rounds`` times, in milliseconds; ``best_ms``: the least disturbed round."""

    best_ms: float
    median_ms: float
    p99_ms: float
    rounds: int


def interleaved(things: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 1) -> dict[str, Timing]:
    """Run each of ``things`` once a round, so that what else the machine does meets all of them alike."""
    taken: dict[str, list[float]] = {name: [] for name in things}
    for number in range(warm_up + rounds):
        for name, run in things.items():
            start = time.perf_counter()
            run()
            if number >= warm_up:
                taken[name].append((time.perf_counter() - start) * 1e3)
    return {name: summary(times) for name, times in taken.items()}


def summary(times_ms: Sequence[float]) -> Timing:
    """Rounded to a microsecond."""
    median, p99 = np.quantile(times_ms, (0.5, 0.99))
    return Timing(round(min(times_ms), 3), round(float(median), 3), round(float(p99), 3), len(times_ms))
