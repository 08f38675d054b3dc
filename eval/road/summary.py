"""A method's figures as ``metrics.json`` holds them: official and exact, with intervals and rows by condition."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from airside.progress import Progress
from eval.datasets.frames import ALL
from eval.metrics.components import F1_THRESHOLDS, PooledComponents
from eval.metrics.official import PooledBins, figures_of
from eval.road.measure import Measured

RESAMPLES, CONFIDENCE, SEED = 1000, 0.95, 5
FIGURES = ("ap", "auroc", "fpr95", "best_f1", "best_iou", "siou", "ppv", "f1_mean")

Figures = dict[str, float | None]


class Pooled:
    """One method's frames, to be counted with any weight a frame."""

    def __init__(self, measured: Measured) -> None:
        self._bins, self._components = PooledBins(measured.bins), PooledComponents(measured.components)

    def figures(self, weight: np.ndarray | None = None) -> Figures:
        """:data:`FIGURES`, ``None`` where one has no meaning; components at the threshold of all frames together."""
        curve, component = self._bins.curve(weight), self._components.figures(weight)
        found: Figures = dict.fromkeys(FIGURES)
        if curve is not None:
            pixel = asdict(figures_of(curve))
            found |= {name: pixel[name] for name in ("ap", "auroc", "fpr95", "best_f1", "best_iou")}
        return found | {"siou": component.siou, "ppv": component.ppv, "f1_mean": component.f1_mean}


def summary(method: str, measured: Measured) -> dict[str, Any]:
    """Plain values; see :data:`FIGURES`. ``ci``: 95 % percentile bootstrap over frames, ``None`` for one frame."""
    pooled, components = Pooled(measured), PooledComponents(measured.components)
    exact = measured.exact
    f1 = components.figures().f1
    return {
        **pooled.figures(),
        "best_f1_threshold": measured.threshold,
        "f1": {f"{t:.2f}": v for t, v in zip(F1_THRESHOLDS, f1, strict=True)},
        "components": components.counts(),
        "ci": intervals(method, pooled, len(measured.names)),
        "exact": {
            "ap": exact.ap,
            "auroc": exact.auroc,
            "fpr95": exact.fpr95,
            "best_f1": exact.best_f1,
            "best_iou": exact.best_f1 / (2 - exact.best_f1),
        },
        "frames": len(measured.names),
        "unknown_pixels": exact.positives,
        "known_pixels": exact.negatives,
        "by_condition": by_condition(measured, pooled),
    }


def intervals(method: str, pooled: Pooled, frames: int) -> dict[str, list[float] | None]:
    """Percentile bootstrap (Efron 1979) of every figure: frames are drawn with repetition, the threshold of the
    components stays that of all frames."""
    rng = np.random.default_rng(SEED)
    drawn: dict[str, list[float]] = {name: [] for name in FIGURES}
    if frames > 1:
        with Progress(f"{method}: resamples", RESAMPLES) as progress:
            for _ in range(RESAMPLES):
                weight = np.bincount(rng.integers(frames, size=frames), minlength=frames)
                for name, value in pooled.figures(weight).items():
                    if value is not None:
                        drawn[name].append(value)
                progress.step()
    tails = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    return {name: [float(q) for q in np.quantile(v, tails)] if v else None for name, v in drawn.items()}


def by_condition(measured: Measured, pooled: Pooled) -> dict[str, dict[str, Any]]:
    """Figures of each condition alone; empty where the data set tells none apart."""
    conditions = sorted(set(measured.conditions))
    if conditions == [ALL]:
        return {}
    found = {}
    for condition in conditions:
        chosen = np.array([c == condition for c in measured.conditions])
        found[condition] = {"frames": int(chosen.sum()), **pooled.figures(chosen)}
    return found


def frame_quality(measured: Measured) -> list[float]:
    """One number a frame to order them by, high = good: its own pixel AP, over the share of unknown pixels that
    chance would give; frames without both kinds of pixels are NaN."""
    quality = []
    for bins in measured.bins:
        curve = PooledBins([bins]).curve()
        quality.append(math.nan if curve is None else figures_of(curve).ap)
    return quality
