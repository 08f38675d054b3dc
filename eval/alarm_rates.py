"""Promised and realised alarm rates over random splits of clean frames by drive; pure, on scores alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import betabinom

from airside.ood.conformal import threshold_from_clean
from eval.metrics.drift import drift

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class CleanScores:
    """The greatest region score of each clean frame, [N] each."""

    score: np.ndarray  # float64
    drive: np.ndarray  # int64
    condition: np.ndarray  # str

    def where(self, chosen: np.ndarray) -> CleanScores:
        return CleanScores(self.score[chosen], self.drive[chosen], self.condition[chosen])

    def by_drive(self) -> np.ndarray:
        """The median score of each drive."""
        return np.array([np.median(self.score[self.drive == d]) for d in np.unique(self.drive)])


@dataclass(frozen=True, slots=True)
class Split:
    """One calibration and what it realised on the other drives; ``low`` and ``high``: where exchangeable frames' rate
    would lie in 95 of 100 splits."""

    realised: float
    low: float
    high: float

    @property
    def inside(self) -> bool:
        return self.low <= self.realised <= self.high


def split_rates(scores: CleanScores, alpha: float, splits: int, rng: np.random.Generator) -> list[Split]:
    """Half of the drives calibrate, the other half is asked. Raises :class:`airside.errors.UsageError` on too few
    frames for ``alpha``."""
    drives = np.unique(scores.drive)
    found = []
    for _ in range(splits):
        chosen = rng.permutation(drives)[: len(drives) // 2]
        mine = np.isin(scores.drive, chosen)
        threshold = threshold_from_clean(scores.score[mine], alpha)
        realised = float((scores.score[~mine] > threshold).mean())
        low, high = rate_interval(int(mine.sum()), int((~mine).sum()), alpha)
        found.append(Split(realised, low, high))
    return found


def rate_interval(calibrated: int, tested: int, alpha: float) -> tuple[float, float]:
    """Where the alarm rate of ``tested`` frames lies after calibrating on ``calibrated`` exchangeable ones: alarms are
    beta-binomial (Angelopoulos and Bates, arXiv 2107.07511, section 3.2)."""
    above = int(np.floor((calibrated + 1) * alpha + 1e-9))
    law = betabinom(tested, above, calibrated + 1 - above)
    tail = (1 - CONFIDENCE) / 2
    return float(law.ppf(tail) / tested), float(law.ppf(1 - tail) / tested)


def split_summary(splits: Sequence[Split], alpha: float) -> dict[str, Any]:
    realised = np.array([s.realised for s in splits])
    low, high = float(np.median([s.low for s in splits])), float(np.median([s.high for s in splits]))
    return {
        "promised": alpha,
        "realised_mean": float(realised.mean()),
        "realised_least": float(realised.min()),
        "realised_most": float(realised.max()),
        "interval": [low, high],
        "mean_inside": low <= float(realised.mean()) <= high,
        "splits_inside": float(np.mean([s.inside for s in splits])),
        "splits": len(splits),
    }


def shift_rates(scores: CleanScores, calibrate_on: str, alpha: float, rng: np.random.Generator) -> dict[str, Any]:
    """Calibrated on half of the drives, their frames of one condition only; the rate in every condition of the others,
    and whether drift says so."""
    drives = np.unique(scores.drive)
    mine = np.isin(scores.drive, rng.permutation(drives)[: len(drives) // 2])
    base = scores.where(mine & (scores.condition == calibrate_on))
    threshold = threshold_from_clean(base.score, alpha)
    rows = {}
    for condition in np.unique(scores.condition).tolist():
        other = scores.where(~mine & (scores.condition == condition))
        if len(other.score):
            rows[condition] = _moved(base, other, threshold)
    return {"calibrated_on": calibrate_on, "clean_frames": len(base.score), "promised": alpha, "conditions": rows}


def spoiled_rates(scores: CleanScores, spoiled: CleanScores, alpha: float, rng: np.random.Generator) -> dict[str, Any]:
    """Calibrated on half of the drives, every condition; the rate on the other drives' spoiled pictures, by kind, and
    whether drift says so. ``spoiled.condition`` names the kind."""
    drives = np.unique(scores.drive)
    mine = rng.permutation(drives)[: len(drives) // 2]
    base = scores.where(np.isin(scores.drive, mine))
    threshold = threshold_from_clean(base.score, alpha)
    other = ~np.isin(spoiled.drive, mine)
    rows = {}
    for kind in dict.fromkeys(spoiled.condition.tolist()):
        asked = spoiled.where(other & (spoiled.condition == kind))
        if len(asked.score):
            rows[kind] = _moved(base, asked, threshold)
    return {"calibrated_on": "all conditions", "clean_frames": len(base.score), "promised": alpha, "kinds": rows}


def _moved(base: CleanScores, asked: CleanScores, threshold: float) -> dict[str, Any]:
    moved = drift(base.by_drive(), asked.by_drive())
    return {
        "frames": len(asked.score),
        "realised": float((asked.score > threshold).mean()),
        "drift_chance": moved.chance,
        "drift_p": moved.p,
        "recalibrate": moved.due,
    }


def condition_rates(scores: CleanScores, alpha: float, splits: int, rng: np.random.Generator) -> dict[str, float]:
    """Calibrated on all conditions together: the mean rate in each over random splits by drive."""
    drives = np.unique(scores.drive)
    found: dict[str, list[float]] = {}
    for _ in range(splits):
        mine = np.isin(scores.drive, rng.permutation(drives)[: len(drives) // 2])
        alarms = scores.score > threshold_from_clean(scores.score[mine], alpha)
        for condition in np.unique(scores.condition).tolist():
            chosen = ~mine & (scores.condition == condition)
            if chosen.any():
                found.setdefault(condition, []).append(float(alarms[chosen].mean()))
    return {condition: float(np.mean(rates)) for condition, rates in found.items()}
