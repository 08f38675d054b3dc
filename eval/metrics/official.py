"""Pixel metrics as the SegmentMeIfYouCan benchmark publishes them: pooled over frames through percentile bins.

Every frame brings its own bin edges: up to 384 quantiles of its unknown pixels' scores, as many of its known ones', and
two ends outside both (Chan et al., arXiv 2104.14812, and the benchmark's public code). The bins of all frames are laid
on one axis; a bin counts where its lower edge lies. With few unknown pixels that differs from exact pooling
(:mod:`eval.metrics.pixel`) by up to 0.05 AP, so both are reported. Written from the definitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

QUANTILES = 384  # of each of the two kinds of pixels
RECALL_OF_FPR95 = 0.95
_END_SHARE, _END_LEAST = 1e-2, 1e-2  # how far the outer edges lie beyond the scores: of their range, and at least


@dataclass(frozen=True, slots=True)
class FrameBins:
    """One frame's pixels in its own K bins, thresholds ascending."""

    threshold: np.ndarray  # [K] float64, lower edge of each bin
    unknown: np.ndarray  # [K] int64, unknown pixels in the bin
    known: np.ndarray  # [K] int64


@dataclass(frozen=True, slots=True)
class PixelFigures:
    """Fractions in [0, 1] over pooled pixels; ``best_f1_threshold`` is a score."""

    ap: float  # area under precision-recall, by steps
    auroc: float  # trapezoids
    fpr95: float  # false positive rate where recall first reaches 95 %; 1 where it never does
    best_f1: float
    best_iou: float  # of the unknown pixels, at the same threshold: F1 / (2 - F1)
    best_f1_threshold: float


@dataclass(frozen=True, slots=True)
class Curve:
    """What lies at or above each distinct threshold, descending: [K] float64 each."""

    threshold: np.ndarray
    unknown_above: np.ndarray
    known_above: np.ndarray
    unknown: float  # all of them
    known: float

    @property
    def precision(self) -> np.ndarray:
        return np.asarray(self.unknown_above / np.maximum(self.unknown_above + self.known_above, 1e-300))

    @property
    def recall(self) -> np.ndarray:
        return np.asarray(self.unknown_above / self.unknown)

    @property
    def false_positive_rate(self) -> np.ndarray:
        return np.asarray(self.known_above / self.known)


def frame_bins(unknown: np.ndarray, known: np.ndarray) -> FrameBins:
    """Bins of one frame from its scores, each [n] float and ascending; either may be empty, not both."""
    lows, highs = zip(*((float(s[0]), float(s[-1])) for s in (unknown, known) if len(s)), strict=True)
    low, high = min(lows), max(highs)
    end = max((high - low) * _END_SHARE, _END_LEAST)
    quantiles = (sorted_quantiles(s, min(QUANTILES, len(s))) for s in (unknown, known) if len(s))
    edges = np.unique(np.concatenate([[low - end, high + end], *quantiles]))
    return FrameBins(edges[:-1], _histogram(unknown, edges), _histogram(known, edges))


def sorted_quantiles(ascending: np.ndarray, count: int) -> np.ndarray:
    """``count`` evenly spaced quantiles of ``ascending`` [n], linear between neighbours: [count] float64."""
    at = np.linspace(0, 1, count) * (len(ascending) - 1)
    below = np.minimum(at.astype(np.int64), len(ascending) - 1)
    above = np.minimum(below + 1, len(ascending) - 1)
    low, high = ascending[below].astype(np.float64), ascending[above].astype(np.float64)
    return np.asarray(low + (at - below) * (high - low))


def _histogram(ascending: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Scores in each bin, lower edge included: [len(edges) - 1] int64. The outer edges lie beyond every score."""
    return np.diff(np.searchsorted(ascending, edges))


class PooledBins:
    """The bins of all frames on one axis, ready to be pooled with any weight a frame: a bootstrap asks many times."""

    def __init__(self, frames: Sequence[FrameBins]) -> None:
        threshold = np.concatenate([f.threshold for f in frames])
        order = np.argsort(-threshold, kind="stable")
        self._threshold = threshold[order]
        self._unknown = np.concatenate([f.unknown for f in frames])[order].astype(np.float64)
        self._known = np.concatenate([f.known for f in frames])[order].astype(np.float64)
        self._frame = np.repeat(np.arange(len(frames)), [len(f.threshold) for f in frames])[order]
        self._last = np.flatnonzero(np.append(np.diff(self._threshold) != 0, True))  # ties are one step

    def curve(self, weight: np.ndarray | None = None) -> Curve | None:
        """The curve with frame k counted ``weight[k]`` times ([frames], default once); ``None`` where no unknown or no
        known pixel has weight."""
        of_bin = 1.0 if weight is None else weight.astype(np.float64)[self._frame]
        unknown, known = (np.cumsum(n * of_bin)[self._last] for n in (self._unknown, self._known))
        if unknown[-1] <= 0 or known[-1] <= 0:
            return None
        some = unknown + known > 0  # before the first pixel there is no precision
        return Curve(
            self._threshold[self._last][some], unknown[some], known[some], float(unknown[-1]), float(known[-1])
        )


def figures_of(curve: Curve) -> PixelFigures:
    """The figures a curve stands for."""
    precision, recall, false_rate = curve.precision, curve.recall, curve.false_positive_rate
    f1 = 2 * curve.unknown_above / (curve.unknown + curve.unknown_above + curve.known_above)
    best = int(np.argmax(f1))
    at_95 = int(np.searchsorted(recall, RECALL_OF_FPR95))
    return PixelFigures(
        ap=float(np.sum(np.diff(recall, prepend=0.0) * precision)),
        auroc=float(np.trapezoid(np.append(0.0, recall), np.append(0.0, false_rate))),
        fpr95=float(false_rate[at_95]) if at_95 < len(recall) else 1.0,
        best_f1=float(f1[best]),
        best_iou=float(f1[best] / (2 - f1[best])),
        best_f1_threshold=float(curve.threshold[best]),
    )
