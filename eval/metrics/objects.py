"""Per-object recall by apparent size, and how often clean frames alarm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import beta

FOUND_COVER = 0.25
# name -> sizes in patches, first included, last not: an object of 9.6 patches is still in "4-9"
SIZE_BINS: dict[str, tuple[float, float]] = {
    "4-9": (4, 10),
    "10-20": (10, 21),
    "21-50": (21, 51),
    "51+": (51, np.inf),
}


@dataclass(frozen=True, slots=True)
class ObjectFinding:
    """One unknown object in one frame."""

    instance: int
    patches: float  # visible pixels / pixels of a patch
    covered: float  # share of its pixels that are flagged, in [0, 1]

    @property
    def found(self) -> bool:
        return self.covered >= FOUND_COVER


def find_objects(
    instance: np.ndarray, flagged: np.ndarray, objects: Iterable[int], patch_area_px: float
) -> list[ObjectFinding]:
    """How much of each object the flagged pixels cover; found from 25 % on, however many regions they belong to.

    ``instance`` [H, W] int: the object each pixel shows; ``flagged`` [H, W] bool: pixels inside a region that alarms;
    ``objects``: the instance numbers asked for (one not visible is left out); ``patch_area_px``: 196 for patch 14 at
    network size. A flag over the whole picture finds everything: read it only beside the clean alarm rate. Raises
    ``ValueError`` on shapes that differ, a mask that is not bool, or an area that is not positive.
    """
    if instance.shape != flagged.shape or flagged.dtype != np.bool_:
        raise ValueError(f"instance {instance.shape} and bool mask wanted, got {flagged.shape} {flagged.dtype}")
    if not patch_area_px > 0:
        raise ValueError(f"patch area must be positive, got {patch_area_px}")
    findings = []
    for number in objects:
        mask = instance == number
        pixels = int(mask.sum())
        if pixels:
            findings.append(ObjectFinding(number, pixels / patch_area_px, float(flagged[mask].mean())))
    return findings


@dataclass(frozen=True, slots=True)
class Recall:
    """Objects found out of objects shown; the rate is ``None`` where none was shown."""

    found: int
    objects: int

    @property
    def rate(self) -> float | None:
        return self.found / self.objects if self.objects else None


@dataclass
class ObjectAccumulator:
    """Pools findings over frames."""

    _findings: list[ObjectFinding] = field(default_factory=list)

    def add(self, findings: Iterable[ObjectFinding]) -> None:
        self._findings.extend(findings)

    def recall(self, at_least: float = 4, below: float = np.inf) -> Recall:
        """Recall of objects of ``at_least`` and ``below`` so many patches."""
        chosen = [f.found for f in self._findings if at_least <= f.patches < below]
        return Recall(sum(chosen), len(chosen))

    def recall_by_patches(self) -> dict[str, Recall]:
        """Recall for each of :data:`SIZE_BINS`; objects under 4 patches are in none of them."""
        return {name: self.recall(low, high) for name, (low, high) in SIZE_BINS.items()}


@dataclass(frozen=True, slots=True)
class AlarmRate:
    """Share of clean frames that alarm, in [0, 1], low = good, with its Clopper-Pearson interval."""

    alarms: int
    frames: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        return self.alarms / self.frames


def clean_alarm_rate(alarms: int, frames: int, confidence: float = 0.95) -> AlarmRate:
    """Rate and exact two-sided interval (Clopper and Pearson 1934); frames of one drive make it too narrow.

    Raises ``ValueError`` unless ``0 <= alarms <= frames``, ``frames`` is positive and ``confidence`` within (0, 1).
    """
    if frames < 1 or not 0 <= alarms <= frames or not 0 < confidence < 1:
        raise ValueError(f"alarms out of frames and a confidence are wanted: {alarms}, {frames}, {confidence}")
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, alarms, frames - alarms + 1)) if alarms else 0.0
    high = float(beta.ppf(1 - tail, alarms + 1, frames - alarms)) if alarms < frames else 1.0
    return AlarmRate(alarms, frames, low, high)
