"""Component metrics of SegmentMeIfYouCan (Chan et al., arXiv 2104.14812, section 4.2): sIoU, PPV and F1 over them.

Components are 8-connected. The sIoU of a true component is its overlap with the predicted components that touch it,
over their union without what they share with other true components. The PPV of a predicted component is the share of
its pixels that is true; one that touches nothing has 0. A true component is found where its sIoU reaches the threshold,
a predicted one is false where its PPV does not. Written from the definitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

F1_THRESHOLDS = np.linspace(0.25, 0.75, 11)


@dataclass(frozen=True, slots=True)
class ComponentSizes:
    """What is too small to count, in pixels: a predicted component vanishes, a true one becomes ignore."""

    predicted_px: int
    true_px: int


ANOMALY_SIZES = ComponentSizes(predicted_px=500, true_px=100)
OBSTACLE_SIZES = ComponentSizes(predicted_px=50, true_px=10)


@dataclass(frozen=True, slots=True)
class FrameComponents:
    """One frame's components, fractions in [0, 1]."""

    siou: np.ndarray  # [true components] float64
    ppv: np.ndarray  # [predicted components] float64


@dataclass(frozen=True, slots=True)
class ComponentFigures:
    """Pooled over frames, fractions in [0, 1]. ``None``: no true component (siou), no predicted one (ppv), neither
    (the F1)."""

    siou: float | None
    ppv: float | None
    f1: tuple[float | None, ...]  # at F1_THRESHOLDS
    f1_mean: float | None


def frame_components(flagged: np.ndarray, label: np.ndarray, sizes: ComponentSizes) -> FrameComponents:
    """Components of one frame: ``flagged`` [H, W] bool, ``label`` [H, W] uint8 (0 known, 1 unknown, 255 ignored)."""
    roi = label != 255
    true, true_count = _components(label == 1)
    predicted, _ = _components(flagged & roi)
    predicted = _without_small(predicted, sizes.predicted_px)
    area = np.bincount(true.reshape(-1), minlength=true_count + 1)
    small = (area < sizes.true_px) & (np.arange(len(area)) > 0)
    seen = roi & ~small[true]
    columns = int(predicted.max()) + 1
    pairs = np.bincount(true[seen] * columns + predicted[seen], minlength=(true_count + 1) * columns)
    shared = pairs.reshape(-1, columns)[np.append(0, np.flatnonzero(~small[1:]) + 1)].astype(np.float64)
    return FrameComponents(_siou(shared), _ppv(shared))


def _siou(shared: np.ndarray) -> np.ndarray:
    """``shared`` [1 + true, 1 + predicted] pixels of each pair, row and column 0 being no component -> [true]."""
    pairs = shared[1:, 1:]
    touches = (pairs > 0).astype(np.float64)
    hit = pairs.sum(axis=1)
    touching_area = touches @ shared[:, 1:].sum(axis=0)
    with_others = touches @ pairs.sum(axis=0) - hit  # what the touching ones share with other true components
    return np.asarray(hit / (touching_area + shared[1:].sum(axis=1) - hit - with_others))


def _ppv(shared: np.ndarray) -> np.ndarray:
    area = shared[:, 1:].sum(axis=0)
    there = area > 0  # one that lay on small true components alone is ignored with them
    return np.asarray(shared[1:, 1:].sum(axis=0)[there] / area[there])


def _components(mask: np.ndarray) -> tuple[np.ndarray, int]:
    count, component = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    return np.asarray(component), count - 1


def without_small_components(mask: np.ndarray, least_px: int) -> np.ndarray:
    """``mask`` [H, W] bool without its 8-connected components under ``least_px``."""
    return np.asarray(_without_small(_components(mask)[0], least_px) > 0)


def _without_small(component: np.ndarray, least_px: int) -> np.ndarray:
    """Numbered anew without components under ``least_px``; 0 stays no component."""
    area = np.bincount(component.reshape(-1))
    kept = area >= least_px
    kept[0] = False
    number = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return np.asarray(number[component])


class PooledComponents:
    """The components of all frames, to be counted with any weight a frame."""

    def __init__(self, frames: Sequence[FrameComponents]) -> None:
        thresholds = F1_THRESHOLDS[:, None] - 1e-12
        self._siou = np.array([f.siou.sum() for f in frames])  # [frames] each
        self._true = np.array([len(f.siou) for f in frames], np.float64)
        self._ppv = np.array([f.ppv.sum() for f in frames])
        self._predicted = np.array([len(f.ppv) for f in frames], np.float64)
        self._found = np.array([(f.siou >= thresholds).sum(axis=1) for f in frames], np.float64)  # [frames, 11]
        self._false = np.array([(f.ppv < thresholds).sum(axis=1) for f in frames], np.float64)

    def figures(self, weight: np.ndarray | None = None) -> ComponentFigures:
        """With frame k counted ``weight[k]`` times ([frames], default once)."""
        w = np.ones(len(self._true)) if weight is None else weight.astype(np.float64)
        true, predicted = float(w @ self._true), float(w @ self._predicted)
        found, false = w @ self._found, w @ self._false
        f1 = 2 * found / np.maximum(found + true + false, 1e-300)  # found + missed = true
        some = true + false > 0
        return ComponentFigures(
            siou=float(w @ self._siou) / true if true else None,
            ppv=float(w @ self._ppv) / predicted if predicted else None,
            f1=tuple(float(v) if s else None for v, s in zip(f1, some, strict=True)),
            f1_mean=float(f1.mean()) if some.all() else None,
        )

    def counts(self) -> dict[str, list[int]]:
        """Found, missed and false components at :data:`F1_THRESHOLDS`."""
        found, false = self._found.sum(axis=0), self._false.sum(axis=0)
        missed = self._true.sum() - found
        return {"tp": found.astype(int).tolist(), "fn": missed.astype(int).tolist(), "fp": false.astype(int).tolist()}
