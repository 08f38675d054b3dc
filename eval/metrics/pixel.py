"""Per-pixel anomaly metrics, pooled over all frames and exact: AP, AUROC and FPR95, as fractions in [0, 1].

Exactness without sorting everything: precision and recall change their maximum only where an unknown pixel sits, so
it is enough to count, for each distinct score of an unknown pixel, the known pixels above, at and below it. Unknown
pixels are few (a few per cent); known ones are stored as float32 and binned once, never sorted as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

KNOWN, UNKNOWN, IGNORE = 0, 1, 255
RECALL_OF_FPR95 = 0.95


@dataclass(frozen=True, slots=True)
class PixelMetrics:
    """Fractions in [0, 1]. A random score has AP = share of unknown pixels, AUROC 0.5, FPR95 0.95."""

    ap: float  # area under precision-recall, by steps (sklearn's average_precision_score); 1 is perfect
    auroc: float  # chance that an unknown pixel outscores a known one, ties counting half; 1 is perfect
    fpr95: float  # share of known pixels at or above the highest threshold that finds 95 % of the unknown; 0 is perfect
    positives: int
    negatives: int


def pixel_metrics(ood_score: np.ndarray, label: np.ndarray) -> PixelMetrics | None:
    """Metrics of float ``ood_score`` (high = unknown) against uint8 ``label`` (0 known, 1 unknown, 255 ignored).

    Any equal shapes. ``None`` where there is no unknown pixel or no known one: nothing can be said then. Scores are
    compared as float32. Raises ``ValueError`` on shapes that differ, another label, or a score that is not finite
    (on an ignored pixel it is allowed).
    """
    accumulator = PixelAccumulator()
    accumulator.add(ood_score, label)
    return accumulator.compute()


@dataclass
class PixelAccumulator:
    """Pools frames: four bytes a pixel (300 frames of 224x392: 105 MB)."""

    _positives: list[np.ndarray] = field(default_factory=list)
    _negatives: list[np.ndarray] = field(default_factory=list)

    def add(self, ood_score: np.ndarray, label: np.ndarray) -> None:
        """Take one frame; see :func:`pixel_metrics`."""
        if ood_score.shape != label.shape:
            raise ValueError(f"score {ood_score.shape} and label {label.shape} differ in shape")
        odd = (label != KNOWN) & (label != UNKNOWN) & (label != IGNORE)
        if odd.any():
            raise ValueError(f"labels are 0, 1 or 255, got {label[odd].flat[0]}")
        with np.errstate(over="ignore"):  # what overflows float32 is refused as not finite below
            positives = ood_score[label == UNKNOWN].astype(np.float32)
            negatives = ood_score[label == KNOWN].astype(np.float32)
        if not (np.isfinite(positives).all() and np.isfinite(negatives).all()):
            raise ValueError("a score is not finite")
        self._positives.append(positives)
        self._negatives.append(negatives)

    def compute(self) -> PixelMetrics | None:
        """Metrics of all pixels taken so far; ``None`` as for :func:`pixel_metrics`."""
        total_negatives = sum(len(n) for n in self._negatives)
        if not sum(len(p) for p in self._positives) or not total_negatives:
            return None
        values, hits = np.unique(np.concatenate(self._positives), return_counts=True)
        at, below = _count_against(values, self._negatives)
        # from here on one entry per distinct unknown score, ascending
        true_above = np.cumsum(hits[::-1])[::-1]
        false_above = total_negatives - below
        total = int(hits.sum())
        precision = true_above / (true_above + false_above)
        threshold = int(np.flatnonzero(true_above >= RECALL_OF_FPR95 * total - 1e-9)[-1])
        return PixelMetrics(
            ap=float(np.sum(hits * precision) / total),
            auroc=float(np.sum(hits * (below + 0.5 * at)) / (float(total) * total_negatives)),
            fpr95=float(false_above[threshold] / total_negatives),
            positives=total,
            negatives=total_negatives,
        )


def _count_against(values: np.ndarray, chunks: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Known scores equal to, and strictly below, each of ``values`` (ascending, distinct): two [len(values)] int64."""
    slots = np.zeros(2 * len(values) + 1, np.int64)  # below v0, at v0, between v0 and v1, at v1, ...
    for chunk in chunks:
        left = np.searchsorted(values, chunk, side="left")
        equal = values[np.minimum(left, len(values) - 1)] == chunk
        slots += np.bincount(2 * left + equal, minlength=len(slots))
    return slots[1::2], np.cumsum(slots)[0:-1:2]
