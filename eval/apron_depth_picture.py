"""The depth benchmark to look at: picture, truth, network, ground plane and error of a few frames."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import cv2
import numpy as np

from airside.drawing import ramp
from airside.errors import InputError
from eval.metrics.depth import depth_metrics
from eval.sheet import GAP_PX, caption, colour_bar, hatched, headings, in_a_column, in_a_row, paper
from training.apron.frames import LabelledFrame

ROWS = 6
MIN_OBJECT_SHARE = 0.03  # of the pixels of a frame worth showing
NEAREST_M = 1.5
ERROR_M = 8.0
_TITLES = ("picture", "truth", "network", "ground plane", "error of the network", "error of the ground plane")


@dataclass
class DepthPick:
    """Keeps up to :data:`ROWS` of the frames it is offered: one of each lens and condition, with objects in them."""

    max_depth_m: float
    kept: list[tuple[LabelledFrame, np.ndarray, np.ndarray]] = field(default_factory=list)

    def offer(self, frame: LabelledFrame, network_m: np.ndarray, ground_plane_m: np.ndarray) -> None:
        """``network_m`` and ``ground_plane_m`` [H, W] metres, as the frame's truth."""
        near = (frame.instance >= 0) & (frame.depth_m <= self.max_depth_m)
        lenses = [other.lens for other, *_ in self.kept]
        if (
            len(self.kept) == ROWS
            or near.mean() < MIN_OBJECT_SHARE
            or lenses.count(frame.lens) >= ROWS // 3
            or frame.condition in {other.condition for other, *_ in self.kept}
        ):
            return
        self.kept.append((frame, network_m, ground_plane_m))


def depth_sheet(pick: DepthPick) -> np.ndarray:
    """[*, *, 3] uint8 RGB. Raises :class:`InputError` where no frame was worth keeping."""
    if not pick.kept:
        raise InputError("no frame shows enough of an object to be worth a picture; evaluate more --frames")
    height, width = pick.kept[0][0].depth_m.shape
    full = len(_TITLES) * (width + GAP_PX) - GAP_PX
    parts = [headings([(title, width) for title in _TITLES])]
    for frame, network_m, plane_m in pick.kept:
        parts += [caption(_words(frame, network_m, plane_m, pick.max_depth_m), full)]
        counts = np.isfinite(frame.depth_m) & (frame.depth_m <= pick.max_depth_m)
        truth = np.where(counts, frame.depth_m, np.nan)
        maps = [_depth_colours(depth, pick.max_depth_m) for depth in (truth, network_m, plane_m)]
        errors = [_error_colours(np.abs(depth - truth)) for depth in (network_m, plane_m)]
        nothing = hatched(height, width)
        for tile in (maps[0], *errors):
            tile[~counts] = nothing[~counts]
        parts += [in_a_row([frame.rgb, *maps, *errors]), paper(6, full)]
    return in_a_column([*parts, paper(8, full), _legend(pick.max_depth_m, width, full)])


def _words(frame: LabelledFrame, network_m: np.ndarray, plane_m: np.ndarray, max_depth_m: float) -> list[str]:
    objects = frame.instance >= 0
    told = [f"{frame.lens} lens, {frame.condition.replace('_', ' ')}"]
    for title, depth in (("network", network_m), ("ground plane", plane_m)):
        found = [depth_metrics(depth, frame.depth_m, max_depth_m=max_depth_m, mask=mask) for mask in (None, objects)]
        everything, things = ("-" if m is None else f"{m.abs_rel:.3f}" for m in found)
        told.append(f"{title}: AbsRel {everything}, on objects {things}")
    return told


def _depth_colours(depth_m: np.ndarray, max_depth_m: float) -> np.ndarray:
    """[..., 3] uint8 RGB, viridis over the logarithm of the depth, near bright."""
    known = np.clip(np.nan_to_num(depth_m, nan=max_depth_m), NEAREST_M, max_depth_m)
    share = np.log(known / NEAREST_M) / np.log(max_depth_m / NEAREST_M)
    level = np.round(255 * (1 - share)).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(level, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB))


def _error_colours(error_m: np.ndarray) -> np.ndarray:
    """[..., 3] uint8 RGB, dark where right."""
    share = np.clip(np.nan_to_num(error_m, nan=0.0) / ERROR_M, 0, 1)
    return np.asarray(ramp()[np.round(255 * share).astype(np.uint8)])


def _legend(max_depth_m: float, width: int, full: int) -> np.ndarray:
    metres = np.geomspace(NEAREST_M, max_depth_m, 64)
    ticks = {value: f"{value:g} m" for value in (NEAREST_M, 3.0, 6.0, 12.0, 24.0, max_depth_m)}
    colours = functools.partial(_depth_colours, max_depth_m=max_depth_m)
    depth = colour_bar("depth along the optical axis", 2 * width, colours, metres, ticks)
    ticks = {0.0: "0 m", 2.0: "2 m", 4.0: "4 m", 6.0: "6 m", ERROR_M: f"{ERROR_M:g} m or more"}
    error = colour_bar("difference to the truth", 2 * width, _error_colours, np.linspace(0, ERROR_M, 64), ticks)
    none = paper(52, full - 4 * width - 2 * GAP_PX)
    none[20:34, :40] = hatched(14, 40)
    words = caption([f"sky, or further than {max_depth_m:g} m: not counted"], none.shape[1] - 52)
    none[10:40, 52:] = words
    return in_a_row([depth, error, none])
