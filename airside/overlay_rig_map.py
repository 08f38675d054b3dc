"""The rig's top view: the ground that was seen, the path with its distances, and every tracked object with its number.

What no camera saw stays dark and hatched: never free. Front is up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from airside.config import CameraConfig, RigConfig, SiteConfig
from airside.drawing import INK, MUTED, SEMIBOLD, TEAL, TEXT, Colour, fill_round, put_text, text_width
from airside.messages import Alert, Kind, Level, Occupancy, TickRecord
from airside.overlay_bev_frame import SHIFT, Window, draw_rings, draw_vehicle, fixed_point, hatch
from airside.overlay_text import HEALTH_COLOURS, LEVEL_COLOURS, words

AHEAD_M, BEHIND_M = 48.0, 22.0  # the ground shown

_UNSEEN: Colour = (14, 18, 24)
_HATCH: Colour = (33, 41, 53)
_FREE: Colour = (46, 57, 72)
_OCCUPIED: Colour = (252, 160, 10)
_OCCUPIED_OPACITY = 0.75
_DOUBT = (30, 80)  # percent: below it a cell is shown free, above it occupied, in between as a mixture
_PATH_OPACITY = 0.17
_LOOK_M = 9.0  # how far the sign for a camera's view reaches
_ARROW_S = 1.0  # a velocity's arrow ends where the object will be then
_SLOWEST_MPS = 0.6
_MAX_LABELS = 8
_SIGMAS = 2.0


def map_window(height: int, width: int) -> Window:
    """What a panel of this size shows: the vehicle in the middle of its width, :data:`AHEAD_M` before it."""
    px_per_m = height / (AHEAD_M + BEHIND_M)
    return Window(height, width, px_per_m, ((AHEAD_M - BEHIND_M) / 2, 0.0))


def draw_map(
    panel: np.ndarray, record: TickRecord, occupancy: Occupancy | None, site: SiteConfig, rig: RigConfig
) -> None:
    """Fill ``panel`` [H, W, 3] uint8 RGB."""
    panel[:] = hatch(panel.shape[0], panel.shape[1], _UNSEEN, _HATCH)
    window = map_window(*panel.shape[:2])
    if occupancy is not None:
        _draw_ground(panel, window, occupancy)
    _draw_path(panel, window, site)
    draw_rings(panel, window, 0.0, 0.75)
    _draw_looks(panel, window, record, rig)
    alerts = sorted(record.alerts, key=lambda a: (a.track.kind is Kind.UNKNOWN, a.level))  # an unknown one on top
    for alert in alerts:
        _draw_track(panel, window, alert)
    draw_vehicle(panel, window)
    _draw_labels(panel, window, list(reversed(alerts)))


def alert_colour(alert: Alert) -> Colour:
    """As a sighting's: unknown amber to red by level; known teal, unless it is to be heeded."""
    if alert.track.kind is Kind.KNOWN and alert.level is Level.NONE:
        return TEAL
    return LEVEL_COLOURS[max(alert.level, Level.NOTICE)]


def _draw_ground(panel: np.ndarray, window: Window, occupancy: Occupancy) -> None:
    """Free and occupied cells, cell by cell: nothing is smoothed into what was not seen."""
    cells = occupancy.cells
    corner = np.array([(0, 0), (1, 0), (0, 1)])[:, ::-1]  # (column, row) of a cell map [X, Y] is (iy, ix)
    centres = (corner + 0.5) * occupancy.cell_m + occupancy.corner_xy_m
    uv = window.uv_from_xy(centres)
    matrix = np.column_stack([uv[1] - uv[0], uv[2] - uv[0], uv[0]])
    shown = cv2.warpAffine(
        cells.astype(np.int16), matrix, panel.shape[1::-1], flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT,
        borderValue=(-1,),
    )  # fmt: skip
    doubt = np.clip((np.arange(101) - _DOUBT[0]) / (_DOUBT[1] - _DOUBT[0]), 0, 1)[:, None]
    table = np.array(_FREE) + (np.array(_OCCUPIED) - _FREE) * doubt * _OCCUPIED_OPACITY
    seen = shown >= 0
    panel[seen] = table.astype(np.uint8)[np.minimum(shown[seen], 100)]


def _draw_path(panel: np.ndarray, window: Window, site: SiteConfig) -> None:
    """The corridor, tinted by what an unknown object in it would mean at each distance."""
    half, layer = site.corridor_half_width_m, panel.copy()
    bands = (
        (site.caution_distance_m, LEVEL_COLOURS[Level.CAUTION], "caution"),
        (site.slow_distance_m, LEVEL_COLOURS[Level.SLOW_STOP], "slow"),
        (site.stop_distance_m, LEVEL_COLOURS[Level.STOP], "stop"),
    )
    for reach_m, colour, _ in bands:
        cv2.fillPoly(layer, [fixed_point(window.uv_from_xy(_band(reach_m, half)))], colour, cv2.LINE_AA, SHIFT)
    panel[:] = cv2.addWeighted(layer, _PATH_OPACITY, panel, 1 - _PATH_OPACITY, 0)
    for reach_m, colour, name in bands:
        edge = _front(reach_m, half)
        cv2.polylines(panel, [fixed_point(window.uv_from_xy(edge))], False, colour, 2, cv2.LINE_AA, SHIFT)
        u, v = window.uv_from_xy(edge[-1])
        text = f"{name} {reach_m:.0f} m"
        put_text(panel, text, round(float(u)) - text_width(text, 12) - 7, round(float(v)), 12, colour, SEMIBOLD)
    for side in (-half, half):
        line = window.uv_from_xy(np.array([(-BEHIND_M, side), (AHEAD_M, side)]))
        cv2.polylines(panel, [fixed_point(line)], False, (112, 128, 148), 1, cv2.LINE_AA, SHIFT)


def _front(reach_m: float, half_m: float) -> np.ndarray:
    """[K, 2]: where the corridor's range is ``reach_m``, from its right to its left edge."""
    y = np.linspace(-half_m, half_m, 9)
    return np.stack([np.sqrt(np.maximum(reach_m**2 - y**2, 0)), y], axis=1)


def _band(reach_m: float, half_m: float) -> np.ndarray:
    return np.concatenate([[(0.0, half_m), (0.0, -half_m)], _front(reach_m, half_m)])


def _draw_looks(panel: np.ndarray, window: Window, record: TickRecord, rig: RigConfig) -> None:
    """A short wedge for every camera: where it looks, and whether its picture counted."""
    status = {camera.camera: camera for camera in record.cameras}
    for camera in rig.cameras:
        said = status.get(camera.name)
        observed = said is not None and said.observed
        colour = (112, 128, 148) if observed else HEALTH_COLOURS[said.health.state] if said else (112, 128, 148)
        wedge = fixed_point(window.uv_from_xy(_wedge(camera)))
        if not observed:
            layer = panel.copy()
            cv2.fillPoly(layer, [wedge], colour, cv2.LINE_AA, SHIFT)
            panel[:] = cv2.addWeighted(layer, 0.25, panel, 0.75, 0)
        cv2.polylines(panel, [wedge], True, colour, 1, cv2.LINE_AA, SHIFT)


def _wedge(camera: CameraConfig) -> np.ndarray:
    x, y, _ = camera.ego_from_cam.xyz_m
    half = math.atan(camera.width / 2 / camera.fx)
    angles = math.radians(camera.ego_from_cam.yaw_deg) + np.linspace(-half, half, 7)
    arc = np.stack([x + _LOOK_M * np.cos(angles), y + _LOOK_M * np.sin(angles)], axis=1)
    return np.concatenate([[(x, y)], arc])


def _draw_track(panel: np.ndarray, window: Window, alert: Alert) -> None:
    track, colour = alert.track, alert_colour(alert)
    thick = 1 if track.kind is Kind.KNOWN or not track.confirmed else 3
    if len(track.footprint_xy_m) >= 3:
        corners = fixed_point(window.uv_from_xy(np.array(track.footprint_xy_m)))
        if track.kind is Kind.UNKNOWN and track.cameras:
            _tint(panel, corners, colour)
        cv2.polylines(panel, [corners], True, colour, thick, cv2.LINE_AA, SHIFT)
    x, y, vx, vy = (float(value) for value in track.state)
    centre = fixed_point(window.uv_from_xy(np.array([x, y])))[0, 0]
    if track.kind is Kind.UNKNOWN:
        ellipse = _ellipse(np.array([x, y]), np.asarray(track.covariance, np.float64)[:2, :2])
        cv2.polylines(panel, [fixed_point(window.uv_from_xy(ellipse))], True, colour, 1, cv2.LINE_AA, SHIFT)
    cv2.circle(panel, centre.tolist(), 3 << SHIFT, colour, -1 if track.cameras else 1, cv2.LINE_AA, SHIFT)
    if track.kind is Kind.UNKNOWN and math.hypot(vx, vy) >= _SLOWEST_MPS:
        tip = window.uv_from_xy(np.array([x + vx * _ARROW_S, y + vy * _ARROW_S]))
        start = window.uv_from_xy(np.array([x, y]))
        ends = [tuple(round(float(c)) for c in end) for end in np.clip([start, tip], -4096, 4096)]
        length = max(math.hypot(ends[1][0] - ends[0][0], ends[1][1] - ends[0][1]), 1.0)
        cv2.arrowedLine(panel, ends[0], ends[1], colour, 1, cv2.LINE_AA, 0, min(7.0 / length, 0.5))


def _tint(panel: np.ndarray, corners: np.ndarray, colour: Colour) -> None:
    """Lay ``colour`` thinly over a polygon, at the cost of its own box."""
    points = corners[:, 0] / (1 << SHIFT)
    low = np.clip(np.floor(points.min(axis=0)).astype(int) - 1, 0, panel.shape[1::-1])
    high = np.clip(np.ceil(points.max(axis=0)).astype(int) + 2, 0, panel.shape[1::-1])
    part = panel[low[1] : high[1], low[0] : high[0]]
    if part.size:
        layer = part.copy()
        cv2.fillPoly(layer, [corners - (low << SHIFT).astype(np.int32)], colour, cv2.LINE_AA, SHIFT)
        part[:] = cv2.addWeighted(layer, 0.4, part, 0.6, 0)


def _ellipse(xy_m: np.ndarray, covariance_m2: np.ndarray) -> np.ndarray:
    """[K, 2]: two standard deviations around ``xy_m``."""
    values, axes = np.linalg.eigh(covariance_m2)
    turn = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1) * _SIGMAS * np.sqrt(np.maximum(values, 0))
    return np.asarray(xy_m + circle @ axes.T)


def _draw_labels(panel: np.ndarray, window: Window, alerts: Sequence[Alert]) -> None:
    taken: list[tuple[int, int, int, int]] = []
    for alert in alerts[:_MAX_LABELS]:
        track = alert.track
        u, v = (round(float(value)) for value in window.uv_from_xy(track.state[:2]))
        if not (0 <= u < window.width and 0 <= v < window.height):
            continue
        name, rest = words(track.name), f"#{track.id}  {track.range_m:.1f} m"
        width = text_width(name, 13, SEMIBOLD) + text_width(rest, 12) + 22
        for left, middle in ((u + 14, v), (u - 14 - width, v), (u - width // 2, v + 22), (u - width // 2, v - 24)):
            box = (left, middle - 11, left + width, middle + 11)
            inside = left >= 4 and box[2] <= window.width - 4 and box[1] >= 36 and box[3] <= window.height - 4
            if inside and all(_apart(box, other) for other in taken):
                taken.append(box)
                fill_round(panel, box, 6, INK, 0.78)
                end = put_text(panel, name, left + 8, middle, 13, alert_colour(alert), SEMIBOLD)
                put_text(panel, rest, end + 7, middle, 12, TEXT if track.kind is Kind.UNKNOWN else MUTED)
                break


def _apart(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
