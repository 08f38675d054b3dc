"""Depth metrics pooled over all pixels: AbsRel, RMSE, delta1 to delta3 (Eigen et al., arXiv 1406.2283, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DELTA_BASE = 1.25


@dataclass(frozen=True, slots=True)
class DepthMetrics:
    """Fractions, except where a unit is named. Perfect is 0, 0, 1, 1, 1."""

    abs_rel: float  # mean |depth - truth| / truth
    rmse_m: float  # root of the mean squared difference, metres
    delta1: float  # share of pixels with max(depth / truth, truth / depth) < 1.25
    delta2: float  # the same below 1.25^2
    delta3: float  # the same below 1.25^3
    pixels: int


def depth_metrics(
    depth_m: np.ndarray, truth_m: np.ndarray, *, max_depth_m: float, mask: np.ndarray | None = None
) -> DepthMetrics | None:
    """Metrics of ``depth_m`` against ``truth_m``, any equal shapes, float metres along the optical axis.

    A pixel counts where the truth is finite, in (0, max_depth_m], and ``mask`` (bool, same shape) is true. ``None``
    where no pixel counts. Raises ``ValueError`` on shapes that differ, a mask that is not bool, a range limit that is
    not positive, and a depth that is not finite and positive on a pixel that counts: leaving it out would flatter.
    """
    accumulator = DepthAccumulator(max_depth_m=max_depth_m)
    accumulator.add(depth_m, truth_m, mask=mask)
    return accumulator.compute()


class DepthAccumulator:
    """Pools frames: every pixel weighs the same, whichever frame it is from."""

    def __init__(self, *, max_depth_m: float) -> None:
        if not max_depth_m > 0:
            raise ValueError(f"max_depth_m must be positive, got {max_depth_m}")
        self.max_depth_m = max_depth_m
        self._pixels = 0
        self._relative = 0.0
        self._squared = 0.0
        self._within = np.zeros(3, np.int64)

    def add(self, depth_m: np.ndarray, truth_m: np.ndarray, *, mask: np.ndarray | None = None) -> None:
        """Take one frame; see :func:`depth_metrics`. A frame that is refused leaves the sums as they were."""
        if depth_m.shape != truth_m.shape:
            raise ValueError(f"depth {depth_m.shape} and truth {truth_m.shape} differ in shape")
        counts = np.isfinite(truth_m) & (truth_m > 0) & (truth_m <= self.max_depth_m)
        if mask is not None:
            if mask.shape != truth_m.shape or mask.dtype != np.bool_:
                raise ValueError(f"wanted a bool mask {truth_m.shape}, got {mask.dtype} {mask.shape}")
            counts &= mask
        depth, truth = depth_m[counts].astype(np.float64), truth_m[counts].astype(np.float64)
        unusable = int(np.count_nonzero(~(np.isfinite(depth) & (depth > 0))))
        if unusable:
            raise ValueError(
                f"the depth is not finite and positive on {unusable} of the {depth.size} pixels that have truth; "
                "fill them, or leave them out by the mask and say so"
            )
        difference = depth - truth
        ratio = np.maximum(depth / truth, truth / depth)
        self._pixels += depth.size
        self._relative += float(np.sum(np.abs(difference) / truth))
        self._squared += float(np.sum(difference**2))
        self._within += [np.count_nonzero(ratio < DELTA_BASE**power) for power in (1, 2, 3)]

    def compute(self) -> DepthMetrics | None:
        """Metrics of all pixels taken so far; ``None`` where there were none."""
        if not self._pixels:
            return None
        delta1, delta2, delta3 = (float(n) / self._pixels for n in self._within)
        return DepthMetrics(
            abs_rel=self._relative / self._pixels,
            rmse_m=float(np.sqrt(self._squared / self._pixels)),
            delta1=delta1,
            delta2=delta2,
            delta3=delta3,
            pixels=self._pixels,
        )
