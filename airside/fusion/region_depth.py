"""What the depth map says of one region: the points of its own pixels, freed of what shines through at its edges."""

from __future__ import annotations

import cv2
import numpy as np

from airside.fusion.mounted import MountedView, ego_rays
from airside.messages import Region

MIN_PIXELS = 4  # of the depth map: fewer say nothing
MOST_PIXELS = 500  # more, evenly left out, say nothing new
_LEAST_SHARE = 0.25  # of the region's pixels: a nearer group smaller than this is noise or ground before the foot
_GAP_M, _GAP_SHARE = 1.0, 0.1  # a jump in range beyond both ends one surface and begins another


def metric_depth(depth: np.ndarray, fx_px: float, depth_focal_px: float) -> np.ndarray:
    """A network's depth [..., Hd, Wd], told as seen through ``depth_focal_px``, in metres for a lens of ``fx_px`` at
    the network's size: the same picture through a lens twice as long is of things twice as far."""
    return np.asarray(depth * np.float32(fx_px / depth_focal_px), np.float32)


def region_points(region: Region, view: MountedView, depth_m: np.ndarray) -> np.ndarray:
    """The visible surface of ``region``: [K, 3] float64 in ego metres, nearest (horizontally, from the camera) first.

    ``depth_m`` [Hd, Wd] float32 is metric, along the optical axis, over the network's picture; values that are not
    positive count for nothing. Only pixels within the outline are used, without their border where enough remain: a
    patch wide, a region's border shows what is behind. Of several surfaces at different ranges the nearest one that
    makes up a quarter of the region is the region's. K is 0 where fewer than ``MIN_PIXELS`` remain.
    """
    shape = (depth_m.shape[0], depth_m.shape[1])
    mask, (top, left) = _mask(region, view, shape)
    here = np.s_[top : top + mask.shape[0], left : left + mask.shape[1]]
    inside = np.flatnonzero(mask & (depth_m[here] > 0))
    if len(inside) < MIN_PIXELS:
        return np.zeros((0, 3))
    rows, columns = np.divmod(inside[:: -(-len(inside) // MOST_PIXELS)], mask.shape[1])
    at = rows + top, columns + left
    points = view.ego_from_cam.translation_m + ego_rays(view, shape)[at] * depth_m[at][:, None]
    range_m = np.hypot(*(points[:, :2] - view.cam_xy_m).T)
    order = np.argsort(range_m)
    return np.asarray(points[order][_nearest_surface(range_m[order])])


def percentile(ascending: np.ndarray, percent: float) -> float:
    """Of values [K] already in order, K > 0; between two of them linear, as :func:`numpy.percentile`, whose own cost
    for so few values is many times this."""
    place = (len(ascending) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ascending) - 1)
    return float(ascending[low] + (ascending[high] - ascending[low]) * (place - low))


def _mask(region: Region, view: MountedView, shape: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """The region on a map of ``shape``: [h, w] bool as large as its outline, and the row and column it begins at."""
    outline = np.asarray(region.outline_px, np.float64).reshape(-1, 2)
    outline = outline[np.isfinite(outline).all(axis=1)]
    step = np.array([shape[1] / view.network.width, shape[0] / view.network.height])
    at = np.clip((view.network_from_frame(outline) + 0.5) * step - 0.5, -1, (shape[1], shape[0]))
    if len(at) == 0:
        return np.zeros((0, 0), bool), (0, 0)
    left, top = np.maximum(np.floor(at.min(axis=0)).astype(int), 0).tolist()
    right, bottom = np.minimum(np.ceil(at.max(axis=0)).astype(int) + 1, (shape[1], shape[0])).tolist()
    mask = np.zeros((max(bottom - top, 0), max(right - left, 0)), np.uint8)
    if mask.size == 0:
        return mask > 0, (0, 0)
    cv2.fillPoly(mask, [np.round((at - (left, top)) * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    core = cv2.erode(mask, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray((core if np.count_nonzero(core) >= 2 * MIN_PIXELS else mask) > 0), (top, left)


def _nearest_surface(range_m: np.ndarray) -> slice:
    """``range_m`` [K] ascending -> the first run of it without a jump that holds enough of it, or all."""
    jump = np.diff(range_m) > np.maximum(_GAP_M, _GAP_SHARE * range_m[:-1])
    ends = [*(np.flatnonzero(jump) + 1).tolist(), len(range_m)]
    start = 0
    for end in ends:
        if end - start >= max(MIN_PIXELS, _LEAST_SHARE * len(range_m)):
            return slice(start, end)
        start = end
    return slice(0, len(range_m))
