"""A rig's tick as a picture: everything where it is; nothing unseen looks free."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from airside.config import RigConfig, SiteConfig, load_rig
from airside.drawing import TEAL
from airside.messages import CameraStatus, Health, HealthState, Kind, Level, Occupancy, TickRecord
from airside.overlay_rig import HEIGHT, WIDTH, draw_rig_overlay, layout_of
from airside.overlay_rig_map import AHEAD_M, BEHIND_M
from airside.overlay_text import HEADER, HEALTH_COLOURS, LEVEL_COLOURS
from tests.records import alert, tick_record

RIGS = Path(__file__).parents[2] / "configs" / "rigs"
OK = Health(HealthState.OK)


def rig(name: str = "apron6") -> RigConfig:
    return load_rig(RIGS / f"{name}.yaml")


def record(off: str = "", **changes: object) -> TickRecord:
    blind = Health(HealthState.BLIND, ("frozen",))
    cameras = tuple(
        CameraStatus(c.name, blind if c.name == off else OK, 1, observed=c.name != off) for c in rig().cameras
    )
    return tick_record(cameras=cameras, **changes)


def drawn(said: TickRecord, occupancy: Occupancy | None = None, pictures: dict | None = None) -> np.ndarray:
    return draw_rig_overlay(pictures or {}, said, occupancy, SiteConfig(), rig())


def ground(value: int) -> Occupancy:
    return Occupancy(0.5, (-50.0, -50.0), np.full((200, 200), value, np.int8))


def pixel(canvas: np.ndarray, x_m: float, y_m: float) -> np.ndarray:
    layout = layout_of(rig())
    u, v = layout.window.uv_from_xy(np.array([x_m, y_m]))
    return canvas[layout.map_box[1] + round(float(v)), layout.map_box[0] + round(float(u))].astype(int)


def map_of(canvas: np.ndarray) -> np.ndarray:
    x0, y0, x1, y1 = layout_of(rig()).map_box
    return canvas[y0:y1, x0:x1].astype(int)


@pytest.mark.parametrize("name", ["apron6", "apron8", "front"])
def test_nothing_covers_anything_and_all_is_on_the_canvas(name: str) -> None:
    layout = layout_of(rig(name))
    boxes = [*layout.tiles.values(), layout.map_box]
    assert set(layout.tiles) == {camera.name for camera in rig(name).cameras}
    for k, (x0, y0, x1, y1) in enumerate(boxes):
        assert 0 <= x0 < x1 <= WIDTH
        assert HEADER <= y0 < y1 <= HEIGHT
        for ox0, oy0, ox1, oy1 in boxes[k + 1 :]:
            assert x1 <= ox0 or ox1 <= x0 or y1 <= oy0 or oy1 <= y0


def test_left_cameras_are_on_the_left_and_front_ones_above() -> None:
    tiles = layout_of(rig()).tiles
    assert tiles["left"][0] == tiles["rear_left"][0] < tiles["right"][0] == tiles["rear_right"][0]
    assert tiles["front_narrow"][1] == tiles["front_wide"][1] < tiles["left"][1] < tiles["rear_left"][1]


def test_front_is_up_and_left_is_left() -> None:
    window = layout_of(rig()).window
    (u, v), (ahead_u, ahead_v), (left_u, _) = window.uv_from_xy(np.array([(0, 0), (10, 0), (0, 10)]))
    assert ahead_v < v
    assert ahead_u == u
    assert left_u < u
    assert window.height / window.px_per_m == pytest.approx(AHEAD_M + BEHIND_M)


def test_what_was_not_seen_never_looks_free() -> None:
    unseen, free, occupied = (drawn(record(), ground(value)) for value in (-1, 0, 100))
    nothing = drawn(record(), None)
    at = (20.0, 12.3)
    np.testing.assert_array_equal(map_of(unseen), map_of(nothing))
    assert pixel(free, *at).sum() > pixel(unseen, *at).sum() + 60
    assert pixel(occupied, *at)[0] > pixel(occupied, *at)[2] + 80  # amber
    assert abs(pixel(free, *at)[0] - pixel(free, *at)[2]) < 40


def test_cells_are_drawn_where_they_are() -> None:
    cells = ground(-1)
    cells.cells[140:144, 124:128] = 100  # x from 20 to 22 m, y from 12 to 14 m
    canvas = drawn(record(), cells)
    assert pixel(canvas, 21.0, 13.0)[0] > 150
    for x, y in ((23.0, 13.0), (19.0, 13.0), (21.0, 15.0), (21.0, 11.0), (21.0, -13.0)):
        assert pixel(canvas, x, y)[0] < 100


def test_an_unknown_track_shows_in_the_colour_of_its_level() -> None:
    corners = ((20.0, 8.0), (20.0, 12.0), (24.0, 12.0), (24.0, 8.0))
    plain = {"footprint_xy_m": corners, "state": np.array([20.0, 10.0, 0.0, 0.0])}
    for level in (Level.NOTICE, Level.STOP):
        canvas = drawn(record(alerts=(alert(level, **plain),)))
        edge = pixel(canvas, 22.0, 12.0)
        np.testing.assert_allclose(edge, LEVEL_COLOURS[level], atol=40)
    known = drawn(record(alerts=(alert(Level.NONE, kind=Kind.KNOWN, **plain),)))
    assert np.abs(map_of(known) - TEAL).sum(axis=2).min() < 30


def test_a_camera_that_was_not_looked_at_says_so_over_its_last_picture() -> None:
    picture = np.full((224, 392, 3), 90, np.uint8)
    canvas = drawn(record("left"), pictures={"left": picture, "right": picture})
    tiles = layout_of(rig()).tiles
    border = {name: canvas[tiles[name][1] + 60, tiles[name][0] + 2].tolist() for name in ("left", "right")}
    assert tuple(border["left"]) == HEALTH_COLOURS[HealthState.BLIND]
    assert border["right"] == [90, 90, 90]


def test_a_camera_without_a_picture_is_hatched() -> None:
    canvas = drawn(record())
    x0, y0, x1, y1 = layout_of(rig()).tiles["right"]
    tile = canvas[y0 + 50 : y1, x0:x1]
    assert len(np.unique(tile.reshape(-1, 3), axis=0)) == 2


def test_drawing_changes_no_picture_it_was_given() -> None:
    picture = np.full((224, 392, 3), 90, np.uint8)
    drawn(record(), pictures={"left": picture})
    assert (picture == 90).all()
    assert drawn(record()).shape == (HEIGHT, WIDTH, 3)
