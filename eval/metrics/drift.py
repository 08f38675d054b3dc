"""Whether the scores of clean frames have moved since the site was calibrated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import mannwhitneyu

DUE_CHANCE = 0.75  # of a recent score lying above one of the calibration; 0.5 where nothing has moved
DUE_P = 0.01


@dataclass(frozen=True, slots=True)
class Drift:
    """``chance`` in [0, 1] that a recent score lies above one of the calibration, ties half; ``p``: of that by luck."""

    chance: float
    p: float

    @property
    def due(self) -> bool:
        """Recalibrate: the scores have risen, far and certainly, and with them the alarm rate."""
        return self.chance >= DUE_CHANCE and self.p <= DUE_P


def drift(calibrated: np.ndarray, recent: np.ndarray) -> Drift:
    """Mann and Whitney (1947), one-sided: ``recent`` [m] above ``calibrated`` [n], scores of frames.

    Frames of one drive resemble each other and would make everything look certain: give one score a drive, its median.
    Raises ``ValueError`` where one of them is empty or not finite.
    """
    if not len(calibrated) or not len(recent) or not (np.isfinite(calibrated).all() and np.isfinite(recent).all()):
        raise ValueError(f"finite scores of both are wanted, got {len(calibrated)} and {len(recent)}")
    found = mannwhitneyu(recent, calibrated, alternative="greater")
    return Drift(float(found.statistic / (len(calibrated) * len(recent))), float(found.pvalue))
