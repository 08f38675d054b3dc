"""The paper the bird's-eye panel is drawn on: which ground it shows, what the camera can see of it, the measures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from airside.drawing import MUTED, TEXT, Colour, put_text, text_width
from airside.fusion.mounted import MountedView
from airside.geometry.ground import ground_point_from_uv

RING_STEP_M = 10
_SPAN_M = 56.0  # ground shown from the lower to the upper edge
_BEHIND_M = 7.0  # of it behind the vehicle, seen from where the camera looks
_RING: Colour = (74, 87, 104)
_EGO_LENGTH_M, _EGO_WIDTH_M = 4.2, 2.0  # a sign for the vehicle, not its measures
SHIFT = 4  # sub-pixel bits of OpenCV's drawing calls


@dataclass(frozen=True, slots=True)
class Window:
    """Ego metres -> panel pixels (u right, v down): x forward is up, y left is left, whatever the camera's heading."""

    height: int
    width: int
    px_per_m: float
    centre_xy_m: tuple[float, float]

    @classmethod
    def towards(cls, heading_rad: float, height: int, width: int) -> Window:
        """The window that shows most of what lies towards ``heading_rad`` (0 ahead, positive to the left)."""
        px_per_m = height / _SPAN_M
        sideways_m = max(width / px_per_m / 2 - _BEHIND_M, 0.0)
        ahead_m = _SPAN_M / 2 - _BEHIND_M
        return cls(height, width, px_per_m, (ahead_m * math.cos(heading_rad), sideways_m * math.sin(heading_rad)))

    def uv_from_xy(self, xy_m: np.ndarray) -> np.ndarray:
        """Panel pixels [..., 2] float64 of ego points [..., 2]."""
        xy = np.asarray(xy_m, np.float64)
        u = self.width / 2 - 0.5 - (xy[..., 1] - self.centre_xy_m[1]) * self.px_per_m
        v = self.height / 2 - 0.5 - (xy[..., 0] - self.centre_xy_m[0]) * self.px_per_m
        return np.stack([u, v], axis=-1)

    def smaller(self, factor: int) -> Window:
        """The same ground on a panel ``factor`` times coarser."""
        size = max(1, -(-self.height // factor)), max(1, -(-self.width // factor))
        return Window(*size, self.px_per_m / factor, self.centre_xy_m)


def fixed_point(uv_px: np.ndarray) -> np.ndarray:
    """[K, 1, 2] int32 for OpenCV's drawing calls with :data:`SHIFT` bits behind the point."""
    fixed = np.round(np.clip(uv_px, -1e4, 1e4) * (1 << SHIFT))
    return np.asarray(fixed, np.int32).reshape(-1, 1, 2)


def heading_of(view: MountedView) -> float:
    """The camera's heading in the ego frame, radians, positive to the left."""
    forward = view.ego_from_cam.rotation[:, 2]
    return math.atan2(float(forward[1]), float(forward[0]))


def half_view_of(view: MountedView) -> float:
    """Half the horizontal angle of the camera's picture, radians."""
    return math.atan(view.frame.width / 2 / view.frame.fx)


def field_of_view(view: MountedView, reach_m: float) -> np.ndarray:
    """[K, 2] float64 in ego metres: the ground the camera sees, from the lower edge of its picture to ``reach_m``."""
    camera, steps = view.frame, np.linspace(0, 1, 17)
    columns = -0.5 + steps * camera.width
    near = [ground_point_from_uv((float(u), camera.height - 0.5), camera, view.ego_from_cam) for u in columns]
    edge = np.array([view.cam_xy_m if point is None else point[:2] for point in near])
    level = np.stack([columns, np.full(columns.shape, camera.cy)], axis=-1)
    rays = view.ego_from_cam.directions(camera.ray_cam_from_uv(level))[:, :2]
    far = view.cam_xy_m + reach_m * rays / np.hypot(*rays.T)[:, None]
    beyond = np.hypot(*(edge - view.cam_xy_m).T) > reach_m
    edge[beyond] = far[beyond]
    return np.concatenate([edge, far[::-1]])


@lru_cache(maxsize=4)
def hatch(height: int, width: int, ground: Colour, line: Colour, step_px: int = 11) -> np.ndarray:
    """What nothing is known of: dark, with slanted lines. [height, width, 3] uint8, read-only."""
    on_line = (np.arange(height)[:, None] + np.arange(width)) % step_px == 0
    paper = np.where(on_line[..., None], np.array(line, np.uint8), np.array(ground, np.uint8))
    paper.flags.writeable = False
    return paper


def draw_rings(panel: np.ndarray, window: Window, heading_rad: float, half_view_rad: float) -> None:
    """Range rings around the ego origin, their metres written beside the field of view where there is room."""
    centre = fixed_point(window.uv_from_xy(np.zeros(2)))[0, 0]
    corners = np.array([(u, v) for u in (0, window.width) for v in (0, window.height)])
    reach_px = float(np.hypot(*(corners - window.uv_from_xy(np.zeros(2))).T).max())
    for ring_m in range(RING_STEP_M, int(reach_px / window.px_per_m) + 1, RING_STEP_M):
        radius = round(ring_m * window.px_per_m * (1 << SHIFT))
        cv2.circle(panel, centre.tolist(), radius, _RING, 1, cv2.LINE_AA, SHIFT)
    for ring_m in range(RING_STEP_M, round(_SPAN_M), RING_STEP_M):
        text = f"{ring_m} m"
        beside = heading_rad - half_view_rad - 1.6 / ring_m
        for angle in (beside, heading_rad - half_view_rad * 0.8, heading_rad):
            at = window.uv_from_xy(ring_m * np.array([math.cos(angle), math.sin(angle)]))
            u, v = round(float(at[0])) - text_width(text, 12) // 2, round(float(at[1]))
            if 4 <= u < window.width - 40 and 44 <= v < window.height - 46:
                panel[v - 8 : v + 8, max(u - 4, 0) : u + text_width(text, 12) + 4] //= 3
                put_text(panel, text, u, v, 12, MUTED)
                break


def draw_field(panel: np.ndarray, window: Window, field_xy_m: np.ndarray) -> None:
    """The limits of the camera's view."""
    line = fixed_point(window.uv_from_xy(field_xy_m))
    cv2.polylines(panel, [line], True, (112, 128, 148), 1, cv2.LINE_AA, SHIFT)


def draw_vehicle(panel: np.ndarray, window: Window) -> None:
    """The ego vehicle at the origin, its front up."""
    half_l, half_w = _EGO_LENGTH_M / 2, _EGO_WIDTH_M / 2
    body = _rounded(half_l, half_w, 0.55)
    glass = np.array([(0.95, -0.72), (1.5, -0.6), (1.5, 0.6), (0.95, 0.72)])
    cv2.fillPoly(panel, [fixed_point(window.uv_from_xy(body * 1.14))], (13, 17, 23), cv2.LINE_AA, SHIFT)
    cv2.fillPoly(panel, [fixed_point(window.uv_from_xy(body))], TEXT, cv2.LINE_AA, SHIFT)
    cv2.fillPoly(panel, [fixed_point(window.uv_from_xy(glass))], (66, 78, 94), cv2.LINE_AA, SHIFT)


def _rounded(half_x: float, half_y: float, radius: float) -> np.ndarray:
    """[K, 2]: a rectangle around the origin with round corners."""
    turn = np.linspace(0, math.pi / 2, 6)
    corner = radius * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    parts = []
    for quarter, (sx, sy) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        angle = quarter * math.pi / 2
        rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        parts.append(corner @ rotation.T + (sx * (half_x - radius), sy * (half_y - radius)))
    return np.concatenate(parts)
