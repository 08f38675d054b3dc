"""Per-pixel anomaly metrics, pooled over all frames and exact: AP, AUROC, FPR95, best F1, as fractions in [0, 1].

Exactness without sorting everything: precision and recall change their maximum only where an unknown pixel sits, so
it is enough to count, for each distinct score of an unknown pixel, the known pixels above, at and below it. Unknown
pixels are few (a few per cent); known ones are stored as float32, sorted frame by frame and never as a whole.
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
    best_f1: float  # greatest harmonic mean of precision and recall over all thresholds; 1 is perfect
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
            positives = np.sort(ood_score[label == UNKNOWN].astype(np.float32))
            negatives = np.sort(ood_score[label == KNOWN].astype(np.float32))
        ends = np.concatenate([positives[:1], positives[-1:], negatives[:1], negatives[-1:]])
        if not np.isfinite(ends).all():  # NaN sorts last, infinities to the ends
            raise ValueError("a score is not finite")
        self.add_sorted(positives, negatives)

    def add_sorted(self, unknown: np.ndarray, known: np.ndarray) -> None:
        """Take one frame's scores as they are pooled: each [n] float32, ascending and finite."""
        self._positives.append(unknown)
        self._negatives.append(known)

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
        f1 = 2 * true_above / (total + true_above + false_above)
        threshold = int(np.flatnonzero(true_above >= RECALL_OF_FPR95 * total - 1e-9)[-1])
        return PixelMetrics(
            ap=float(np.sum(hits * precision) / total),
            auroc=float(np.sum(hits * (below + 0.5 * at)) / (float(total) * total_negatives)),
            fpr95=float(false_above[threshold] / total_negatives),
            best_f1=float(f1.max()),
            positives=total,
            negatives=total_negatives,
        )


def _count_against(values: np.ndarray, chunks: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Known scores equal to, and strictly below, each of ``values`` (ascending, distinct): two [len(values)] int64.

    Every chunk is ascending, so that the search walks through memory in order."""
    below, not_above = np.zeros(len(values), np.int64), np.zeros(len(values), np.int64)
    for chunk in chunks:
        below += np.searchsorted(chunk, values, side="left")
        not_above += np.searchsorted(chunk, values, side="right")
    return not_above - below, below
