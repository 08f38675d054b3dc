"""The path ahead, looked at more closely: almost always it is plain ground, so far less is odd there than elsewhere.

One odd patch counts, where elsewhere a whole neighbourhood must be odd, and the threshold is the path's own, from clean
frames' paths by split conformal calibration (:mod:`airside.ood.conformal`). What only this threshold tells is *faint*.

That goes for the path's far part; near, what is faint begins nothing, but an object told of from afar stays told of.
The window on the far path (:mod:`airside.geometry.path`) is asked the same way, by the site's threshold where that is
the higher one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from airside.messages import Box, Kind, NetworkInput, OodMap, Region
from airside.ood.outline import frame_outline

PATH = "/path"  # after a method's name: the calibration of its path threshold
_TOLERANCE_PX = 1.0  # of outlines


def path_score(ood_score: np.ndarray, path: np.ndarray) -> float:
    """What is calibrated: the greatest ``ood_score`` [Hp, Wp] of the patches ``path`` [Hp, Wp] bool; 0 without any."""
    return float(ood_score[path].max()) if path.any() else 0.0


def faint_regions(
    ood_map: OodMap, far: np.ndarray, path: np.ndarray, threshold: float, taken: np.ndarray, net: NetworkInput
) -> Iterator[Region]:
    """Connected patches above ``threshold`` that reach into the ``path`` [Hp, Wp] bool and that no unknown region has
    ``taken`` [Hp, Wp] bool; those that do not reach into its ``far`` part begin nothing. A region's score is its
    greatest patch's."""
    odd = (ood_map.ood_score > threshold) & net.observed & ~taken
    height, width = net.image.shape[:2]
    count, component = cv2.connectedComponents(odd.astype(np.uint8), connectivity=8)
    for number in np.unique(component[odd & path]) if count > 1 else ():
        patches = component == number
        soft = cv2.resize(patches.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        box, outline = frame_outline(soft >= 0.5, net, _TOLERANCE_PX)
        nearest = int(np.argmax(np.bincount(ood_map.class_index[patches])))
        yield Region(
            kind=Kind.UNKNOWN,
            nearest_class=ood_map.class_names[nearest],
            similarity=float(ood_map.similarity[patches & (ood_map.class_index == nearest)].mean()),
            ood_score=float(ood_map.ood_score[patches].max()),
            patches=float(np.count_nonzero(patches)),
            box_px=box,
            outline_px=outline,
            faint=True,
            begins=bool(far[patches].any()),
        )


def patches_in_boxes(boxes_px: Sequence[Box], net: NetworkInput) -> np.ndarray:
    """[Hp, Wp] bool: the patches that one of the frame's boxes touches, and those around them: a thing's edge is mixed
    with the ground, its shadow beside it."""
    rows, columns = net.observed.shape
    cell = np.array([net.image.shape[1] / columns, net.image.shape[0] / rows])
    touched = np.zeros((rows, columns), bool)
    for box in boxes_px:
        corners = (np.array(box).reshape(2, 2) - 0.5 - net.offset_px) / net.scale + 0.5
        (x0, y0), (x1, y1) = np.floor(corners[0] / cell) - 1, np.ceil(corners[1] / cell) + 1
        touched[max(int(y0), 0) : max(int(y1), 0), max(int(x0), 0) : max(int(x1), 0)] = True
    return touched
