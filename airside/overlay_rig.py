"""A whole rig's tick as one picture: the top view in the middle, the cameras around it, the alerts in words below."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from airside.config import RigConfig, SiteConfig
from airside.drawing import (
    BOLD,
    INK,
    MEDIUM,
    MUTED,
    SEMIBOLD,
    TEAL,
    TEXT,
    Colour,
    fill_round,
    pill,
    put_text,
    shortened,
    text_width,
)
from airside.messages import Alert, CameraStatus, Kind, Level, Occupancy, Sighting, TickRecord
from airside.overlay_bev_frame import SHIFT, Window, fixed_point, hatch
from airside.overlay_rig_map import alert_colour, draw_map, map_window
from airside.overlay_text import HEADER, HEALTH_COLOURS, LEVEL_COLOURS, draw_header_ends, sighting_colour, words

WIDTH, HEIGHT = 1920, 1080
_GAP = 6
_LIST = 148  # px: the alerts in words
_LISTED = 4
_LEGEND = 34
_MAX_TILE = 592
_MAX_NAMES = 3  # of regions in one picture
_Box = tuple[int, int, int, int]  # x0, y0, x1, y1, far sides exclusive


@dataclass(frozen=True, slots=True)
class RigLayout:
    """Where things are on the canvas: each camera's picture, and the top view with what it shows."""

    tiles: Mapping[str, _Box]
    map_box: _Box

    @property
    def window(self) -> Window:
        """Ego metres -> pixels of the top view, whose first is at the corner of ``map_box``."""
        x0, y0, x1, y1 = self.map_box
        return map_window(y1 - y0, x1 - x0)


def layout_of(rig: RigConfig) -> RigLayout:
    """Two columns of pictures, those of the left side on the left, front ones on top; between them the top view."""
    columns: tuple[list[str], list[str]] = ([], [])
    shapes = {camera.name: camera.width / camera.height for camera in rig.cameras}
    for camera in sorted(rig.cameras, key=lambda c: abs(_heading_deg(c.ego_from_cam.yaw_deg))):
        heading = _heading_deg(camera.ego_from_cam.yaw_deg)
        middle = heading in (0.0, -180.0)
        side = int(len(columns[1]) < len(columns[0])) if middle else int(heading < 0)
        columns[side].append(camera.name)
    rows = max(3, *(len(column) for column in columns))
    height = (HEIGHT - HEADER - (rows + 1) * _GAP) // rows
    width = min(_MAX_TILE, round(height * max(shapes.values())))
    tiles = {}
    for side, column in enumerate(columns):
        x0 = _GAP if side == 0 else WIDTH - _GAP - width
        for row, name in enumerate(column):
            y0 = HEADER + _GAP + row * (height + _GAP)
            tiles[name] = (x0, y0, x0 + width, y0 + height)
    bottom = HEIGHT - _GAP - _LIST - _LEGEND
    return RigLayout(tiles, (width + 2 * _GAP, HEADER + _GAP, WIDTH - width - 2 * _GAP, bottom))


def draw_rig_overlay(
    pictures: Mapping[str, np.ndarray],
    record: TickRecord,
    occupancy: Occupancy | None,
    site: SiteConfig,
    rig: RigConfig,
) -> np.ndarray:
    """One tick: [1080, 1920, 3] uint8 RGB. ``pictures`` [H, W, 3] uint8 RGB by camera; one without is hatched."""
    canvas = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    canvas[:] = INK
    layout = layout_of(rig)
    status = {camera.camera: camera for camera in record.cameras}
    for name, box in layout.tiles.items():
        seen = [sighting for sighting in record.sightings if sighting.camera == name]
        _draw_tile(_part(canvas, box), name, pictures.get(name), status.get(name), seen)
    draw_map(_part(canvas, layout.map_box), record, occupancy, site, rig)
    x0, _, x1, y1 = layout.map_box
    _draw_legend(canvas[y1 : y1 + _LEGEND, x0:x1], occupancy)
    _draw_list(canvas[y1 + _LEGEND : HEIGHT - _GAP, x0:x1], record)
    _draw_header(canvas[:HEADER], record)
    return canvas


def _part(canvas: np.ndarray, box: _Box) -> np.ndarray:
    x0, y0, x1, y1 = box
    return canvas[y0:y1, x0:x1]


def _heading_deg(yaw_deg: float) -> float:
    """In [-180, 180)."""
    return (yaw_deg + 180.0) % 360.0 - 180.0


def _draw_tile(
    tile: np.ndarray,
    name: str,
    picture: np.ndarray | None,
    status: CameraStatus | None,
    sightings: Sequence[Sighting],
) -> None:
    height, width = tile.shape[:2]
    if picture is None:
        tile[:] = hatch(height, width, (14, 18, 24), (44, 53, 66))
    else:
        zoom = min(width / picture.shape[1], height / picture.shape[0])
        size = max(1, round(picture.shape[1] * zoom)), max(1, round(picture.shape[0] * zoom))
        left, top = (width - size[0]) // 2, (height - size[1]) // 2
        shown = tile[top : top + size[1], left : left + size[0]]
        shown[:] = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR if zoom > 1 else cv2.INTER_AREA)
        _draw_regions(shown, sightings, np.array([size[0] / picture.shape[1], size[1] / picture.shape[0]]))
    end = put_text_boxed(tile, words(name), 8, 17, 14, TEXT)
    if status is None or not status.observed:
        state = HEALTH_COLOURS[status.health.state] if status is not None else MUTED
        why = ", ".join(words(reason) for reason in status.health.reasons) if status is not None else ""
        cv2.rectangle(tile, (1, 1), (width - 2, height - 2), state, 3)
        pill(
            tile,
            shortened("NOT OBSERVED" + (f": {why}" if why else ""), width - end - 40, 14, BOLD),
            end + 8,
            17,
            14,
            state,
        )
    elif status.health.reasons:
        text = ", ".join(words(reason) for reason in status.health.reasons)
        pill(tile, shortened(text, width - end - 40, 13, BOLD), end + 8, 17, 13, HEALTH_COLOURS[status.health.state])
    worst = max((sighting.level for sighting in sightings), default=Level.NONE)
    if worst >= Level.CAUTION and status is not None and status.observed:
        cv2.rectangle(tile, (1, 1), (width - 2, height - 2), LEVEL_COLOURS[worst], 3)


def put_text_boxed(image: np.ndarray, text: str, left: int, middle: int, size: int, colour: Colour) -> int:
    """``text`` on a dark plate; returns the column after it."""
    width = text_width(text, size, SEMIBOLD) + 14
    fill_round(image, (left, middle - size // 2 - 5, left + width, middle + size // 2 + 5), 6, INK, 0.75)
    put_text(image, text, left + 7, middle, size, colour, SEMIBOLD)
    return left + width


def _draw_regions(shown: np.ndarray, sightings: Sequence[Sighting], to_shown: np.ndarray) -> None:
    ordered = sorted(sightings, key=lambda s: (s.region.kind is Kind.UNKNOWN, s.level))
    for sighting in ordered:
        outline = (np.asarray(sighting.region.outline_px, np.float64).reshape(-1, 2) + 0.5) * to_shown - 0.5
        if len(outline) >= 2:
            thick = 2 if sighting.region.kind is Kind.UNKNOWN else 1
            line = [fixed_point(outline)]
            cv2.polylines(shown, line, True, sighting_colour(sighting), thick, cv2.LINE_AA, SHIFT)
    for sighting in list(reversed(ordered))[:_MAX_NAMES]:
        x0, y0 = (round(sighting.region.box_px[axis] * float(to_shown[axis])) for axis in (0, 1))
        text = words(sighting.region.name)
        if sighting.track_id is not None:
            text += f" #{sighting.track_id}"
        if sighting.placement is not None:
            text += f" {sighting.placement.range_m:.0f} m"
        width = text_width(text, 13, SEMIBOLD) + 14
        left = min(max(x0, 2), max(2, shown.shape[1] - width - 2))
        put_text_boxed(shown, text, left, max(y0 - 13, 40), 13, sighting_colour(sighting))


def _draw_header(header: np.ndarray, record: TickRecord) -> None:
    """Name, tick, cameras, bank and method on the left; health and level on the right."""
    middle = header.shape[0] // 2
    left, right = draw_header_ends(header, record, 620)
    observed = sum(camera.observed for camera in record.cameras)
    took = sum(record.timing_ms.values())
    facts = (
        ("tick", f"{record.tick}"), ("cameras", f"{observed} of {len(record.cameras)}"),
        *([("took", f"{took:.0f} ms")] if took else []),  # a recording's record does not tell
        ("bank", record.bank_snapshot[:12]), ("method", record.method),
    )  # fmt: skip
    for name, value in facts:
        start = put_text(header, name, left, middle, 14, MUTED) + 7
        left = put_text(header, value, start, middle, 16, TEXT, MEDIUM) + 24
        if left > right - 160:
            break


def _draw_legend(strip: np.ndarray, occupancy: Occupancy | None) -> None:
    middle, left = strip.shape[0] // 2, 8
    for level in Level:
        if level > Level.NONE:
            fill_round(strip, (left, middle - 6, left + 12, middle + 6), 4, LEVEL_COLOURS[level])
            left = put_text(strip, words(level.name.lower()), left + 17, middle, 12, MUTED) + 11
    marks: list[tuple[str, Colour]] = [("known", TEAL)]
    if occupancy is not None:
        marks += [("seen free", (70, 84, 104)), ("occupied", (252, 160, 10))]
    for name, colour in marks:
        fill_round(strip, (left, middle - 6, left + 12, middle + 6), 4, colour)
        left = put_text(strip, name, left + 17, middle, 12, MUTED) + 11
    put_text(strip, "hatched: not seen", left, middle, 12, MUTED)


def _draw_list(strip: np.ndarray, record: TickRecord) -> None:
    """The most urgent alerts with their reasons."""
    urgent = sorted((a for a in record.alerts if a.level > Level.NONE), key=lambda a: (-a.level, a.track.range_m))
    if not urgent:
        put_text(strip, "nothing to report" if record.valid else "not valid", 8, 18, 14, MUTED)
    row_px = strip.shape[0] // _LISTED
    for row, alert in enumerate(urgent[:_LISTED]):
        middle = row * row_px + row_px // 2
        left = 8 + pill(strip, words(alert.level.name), 8, middle, 13, alert_colour(alert)) + 10
        left = put_text(strip, f"#{alert.track.id}", left, middle, 14, MUTED) + 8
        left = put_text(strip, words(alert.track.name), left, middle, 15, TEXT, SEMIBOLD) + 10
        left = put_text(strip, _where(alert), left, middle, 14, TEXT) + 12
        reasons = ", ".join(words(reason) for reason in alert.reasons)
        put_text(strip, shortened(reasons, strip.shape[1] - left - 8, 13), left, middle, 13, MUTED)
    if len(urgent) > _LISTED:
        text = f"+{len(urgent) - _LISTED}"
        put_text(strip, text, strip.shape[1] - text_width(text, 14) - 4, strip.shape[0] - 12, 14, MUTED)


def _where(alert: Alert) -> str:
    track = alert.track
    degrees = round(math.degrees(track.bearing_rad))
    side = "ahead" if degrees == 0 else f"{abs(degrees)}° {'left' if degrees > 0 else 'right'}"
    speed = math.hypot(float(track.state[2]), float(track.state[3]))
    return f"{track.range_m:.1f} m, {side}, {speed:.1f} m/s" + ("" if track.confirmed else ", tentative")
