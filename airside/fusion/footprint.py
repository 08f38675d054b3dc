"""The patch of ground a region stands on: an oriented rectangle in the ego frame."""

from __future__ import annotations

import cv2
import numpy as np

from airside.fusion.mounted import MountedView
from airside.fusion.region_depth import percentile
from airside.geometry.ground import foot_uv_px, ground_point_from_uv
from airside.messages import Footprint, Region

THINNEST_M = 0.3  # of a rectangle's side: what is seen of a thing is its face, never a line without depth
_TRIM = (2, 98)  # percentiles of the direction
_FENCE = 1.5  # quartile ranges beyond the third quartile (Tukey): further out the background mixes in
_SLACK_M = 0.3  # of the fence: a flat face has hardly any quartile range
_LEAST_DEPTH_M = 2.0  # that a narrow thing may have


def footprint_from_points(points_ego_m: np.ndarray, cam_xy_m: np.ndarray, scale: float) -> Footprint:
    """The rectangle of least area around the points [K, 3], K > 0, nearest first, trimmed of the furthest and the
    outermost. ``scale`` draws them towards the camera (below 1) or away, as the range chosen for the region asks.

    It reaches no deeper than the thing is wide: of what is behind a face one sees nothing, so whatever seems to lie
    deeper is, more often than not, the background.
    """
    seen = points_ego_m[:, :2] - cam_xy_m
    range_m = np.hypot(*seen.T)
    direction = np.arctan2(seen[:, 1], seen[:, 0])
    direction = (direction - direction[0] + np.pi) % (2 * np.pi) - np.pi  # around the nearest: no seam behind
    around = np.sort(direction)
    low, high = (percentile(around, percent) for percent in _TRIM)
    near, quarter, three = (percentile(range_m, percent) for percent in (5, 25, 75))
    deepest = near + max((high - low) * near, _LEAST_DEPTH_M)
    furthest = min(three + _FENCE * (three - quarter) + _SLACK_M, deepest)
    kept = seen[(direction >= low) & (direction <= high) & (range_m <= furthest)]
    return _rectangle((kept if len(kept) else seen[:1]) * scale + cam_xy_m)


def footprint_from_foot(region: Region, view: MountedView) -> Footprint | None:
    """Without depth: the region's width laid on the ground at its foot, ``THINNEST_M`` deep; ``None`` where the foot
    does not come down to the ground."""
    outline = np.asarray(region.outline_px, np.float64).reshape(-1, 2)
    columns = outline[np.isfinite(outline).all(axis=1), 0]
    if len(columns) == 0:
        columns = np.array([region.box_px[0], region.box_px[2] - 1])
    _, v = foot_uv_px(region)
    ends = [ground_point_from_uv((float(u), v), view.frame, view.ego_from_cam) for u in (columns.min(), columns.max())]
    if ends[0] is None or ends[1] is None:
        return None
    near = np.array([ends[0][:2], ends[1][:2]])
    away = near.mean(axis=0) - view.cam_xy_m
    far = near + THINNEST_M * away / max(float(np.hypot(*away)), 1e-6)
    return _rectangle(np.concatenate([near, far]))


def _rectangle(xy_m: np.ndarray) -> Footprint:
    centre, (length, width), angle = cv2.minAreaRect(xy_m.astype(np.float32))
    corners = cv2.boxPoints((centre, (max(length, THINNEST_M), max(width, THINNEST_M)), angle))
    return tuple((float(x), float(y)) for x, y in corners)
