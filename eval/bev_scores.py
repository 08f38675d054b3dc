"""Bird's-eye answers on the same frames, scored side by side; and what is chosen for them on development worlds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from airside.geometry.bev_grid import BevGrid
from eval.bev_frames import BevFrame
from eval.bev_heads import truth_of
from eval.metrics.bev import BevAccumulator, LayerIou, constant_prior

THRESHOLD = 0.5
THRESHOLDS = tuple(round(0.05 * k, 2) for k in range(1, 20))


class BevScores:
    """IoU of several named answers, pooled over the frames, for one radius around the ego origin."""

    def __init__(self, layers: tuple[str, ...], grid: BevGrid, radius_m: float) -> None:
        self.layers, self.grid, self.radius_m = layers, grid, radius_m
        self._sums: dict[str, BevAccumulator] = {}

    def add(self, answers: Mapping[str, np.ndarray], frame: BevFrame) -> None:
        """``answers``: name -> [L, X, Y] bool."""
        truth = truth_of(frame.layers, self.layers)
        for name, answer in answers.items():
            if name not in self._sums:
                self._sums[name] = BevAccumulator(self.layers, self.grid, radius_m=self.radius_m)
            self._sums[name].add(answer, truth, frame.visible)

    def cells(self) -> dict[str, dict[str, LayerIou]]:
        """Answer -> layer -> its cells."""
        return {name: pooled.compute() for name, pooled in self._sums.items()}

    def iou(self) -> dict[str, dict[str, float | None]]:
        """Layer -> answer -> IoU."""
        found = self.cells()
        return {layer: {name: of[layer].iou for name, of in found.items()} for layer in self.layers}


@dataclass(frozen=True, slots=True, eq=False)
class Priors:
    """Answers that look at no picture, [L, X, Y] bool: a layer everywhere or nowhere, and the best fixed map."""

    constant: np.ndarray
    mean_map: np.ndarray


def priors(frames: Sequence[tuple[np.ndarray, np.ndarray]], layers: int, grid: BevGrid, radius_m: float) -> Priors:
    """The best of both kinds on ``frames``, pairs of truth [L, X, Y] and ``visible`` [X, Y], both bool.

    The mean map is the frequency of every cell, cut where the IoU is highest (:func:`constant_prior`).
    """
    mean_map = constant_prior(frames, layers, grid, radius_m=radius_m)
    constant = np.zeros_like(mean_map)
    constant[mean_map.any(axis=(1, 2))] = True  # "everywhere" beats "nowhere" as soon as one cell was there
    return Priors(constant, mean_map)


class ThresholdChoice:
    """The threshold of each layer whose pooled IoU is highest on the frames taken."""

    def __init__(self, layers: tuple[str, ...], grid: BevGrid, radius_m: float) -> None:
        self._scores = BevScores(layers, grid, radius_m)

    def add(self, probabilities: np.ndarray, frame: BevFrame) -> None:
        """``probabilities`` [L, X, Y] in [0, 1]."""
        self._scores.add({str(t): probabilities >= t for t in THRESHOLDS}, frame)

    def chosen(self) -> dict[str, float]:
        """Layer -> threshold."""
        return {
            layer: float(max(by_threshold, key=lambda t: by_threshold[t] or 0.0))
            for layer, by_threshold in self._scores.iou().items()
        }
