"""Score maps against truth: two walks over the frames, one for the pixels, one for the components."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from airside.errors import InputError
from airside.progress import Progress
from eval.datasets.frames import KNOWN, UNKNOWN, RoadFrame
from eval.metrics.components import ComponentSizes, FrameComponents, frame_components
from eval.metrics.official import FrameBins, PooledBins, figures_of, frame_bins
from eval.metrics.pixel import PixelAccumulator, PixelMetrics

ReadScores = Callable[[RoadFrame, tuple[int, int]], np.ndarray]


@dataclass(frozen=True, slots=True)
class Measured:
    """One method on one data set, frame by frame and pooled."""

    names: tuple[str, ...]
    conditions: tuple[str, ...]
    bins: tuple[FrameBins, ...]
    components: tuple[FrameComponents, ...]
    exact: PixelMetrics
    threshold: float  # of the best pixel F1, official kind


def measure(method: str, frames: Sequence[RoadFrame], read: ReadScores, sizes: ComponentSizes) -> Measured:
    """Raises :class:`InputError` where all frames together show nothing unknown, or nothing known."""
    bins, exact = [], PixelAccumulator()
    with Progress(f"{method}: frames, pixels", len(frames)) as progress:
        for frame in frames:
            label = frame.label()
            scores = read(frame, (label.shape[0], label.shape[1]))
            unknown, known = (np.sort(scores[label == kind]) for kind in (UNKNOWN, KNOWN))
            bins.append(frame_bins(unknown, known))
            exact.add_sorted(unknown, known)
            progress.step()
    curve, pooled = PooledBins(bins).curve(), exact.compute()
    if curve is None or pooled is None:
        raise InputError(
            f"{len(frames)} frames, the first with the label {frames[0].source}, show nothing unknown (label 1) or "
            "nothing known (label 0): there is nothing to tell apart"
        )
    threshold = figures_of(curve).best_f1_threshold
    components = []
    with Progress(f"{method}: frames, components", len(frames)) as progress:
        for frame in frames:
            label = frame.label()
            scores = read(frame, (label.shape[0], label.shape[1]))
            components.append(frame_components(scores > threshold, label, sizes))
            progress.step()
    return Measured(
        tuple(f.name for f in frames),
        tuple(f.condition for f in frames),
        tuple(bins),
        tuple(components),
        pooled,
        threshold,
    )
