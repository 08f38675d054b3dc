"""The bird's-eye panel: everything where it is, in the colours of the overlay; nothing unseen looks free."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from airside.cameras.fit import fit_to_network
from airside.config import CameraConfig, MountConfig
from airside.drawing import TEAL, ramp
from airside.fusion.bev_layers import BevLayers
from airside.fusion.mounted import MountedView, mounted_view
from airside.geometry.bev_grid import LAYERS, BevGrid
from airside.messages import (
    Frame,
    Health,
    HealthState,
    Kind,
    Level,
    Placement,
    RangeSource,
    Region,
    Sighting,
)
from airside.overlay import draw_overlay
from airside.overlay_bev import PANEL_WIDTH, BevPanel, draw_bev
from airside.overlay_bev_frame import Window, field_of_view, half_view_of, heading_of
from airside.overlay_text import FOOTER, HEADER, LEVEL_COLOURS
from tests.records import tick_record

SIZE = (730, PANEL_WIDTH)
GRID = BevGrid()


def view_of(yaw_deg: float = 0.0, max_range_m: float = 60.0) -> MountedView:
    mount = MountConfig((1.0, 0.0, 1.8), yaw_deg, 5.0)
    camera = CameraConfig("front", 784, 448, 680.0, 680.0, 391.5, 223.5, mount, max_range_m)
    image = np.zeros((448, 784, 3), np.uint8)
    return mounted_view(camera, image.shape, fit_to_network(image, 224, 392, 14))


def layers_of(**cells: tuple[float, float]) -> BevLayers:
    """Everything seen and known; each named layer (or ``unknown``) is 1 within 1.5 m of its point (x, y)."""
    maps = {name: np.zeros(GRID.shape, np.float32) for name in (*LAYERS, "unknown")}
    for name, at in cells.items():
        maps[name][np.hypot(*(GRID.centres_xy_m() - at).transpose(2, 0, 1)) < 1.5] = 1
    seen = np.ones(GRID.shape, np.float32)
    return BevLayers(GRID, LAYERS, np.stack([maps[name] for name in LAYERS]), maps["unknown"], seen)


def sighting(x_m: float, y_m: float, kind: Kind = Kind.UNKNOWN, level: Level = Level.STOP) -> Sighting:
    region = Region(kind, "cone", 0.4, 0.9, 9.0, (1.0, 2.0, 30.0, 40.0), np.array([(1, 2), (30, 2), (30, 40.0)]))
    corners = tuple((x_m + dx, y_m + dy) for dx, dy in ((-1, -1), (-1, 1), (1, 1), (1, -1)))
    place = Placement(math.hypot(x_m, y_m), math.atan2(y_m, x_m), (x_m, y_m, 0.0), RangeSource.BOTH, corners)
    return Sighting("front", region, place, level, ())


def drawn(shown: BevPanel, *sightings: Sighting, threshold: float = 0.6, size: tuple[int, int] = SIZE) -> np.ndarray:
    panel = np.full((*size, 3), 77, np.uint8)
    draw_bev(panel, shown, sightings, threshold)
    return panel


def at(panel: np.ndarray, x_m: float, y_m: float, heading_rad: float = 0.0) -> np.ndarray:
    """The mean colour [3] of 5 x 5 pixels around a point of the ground, off the rings and words for a careful x, y."""
    u, v = np.round(Window.towards(heading_rad, *panel.shape[:2]).uv_from_xy(np.array([x_m, y_m]))).astype(int)
    assert 2 <= u < panel.shape[1] - 2
    assert 2 <= v < panel.shape[0] - 2
    return np.asarray(panel[v - 2 : v + 3, u - 2 : u + 3].reshape(-1, 3).mean(axis=0))


def test_forward_is_up_and_left_is_left() -> None:
    window = Window.towards(0.0, *SIZE)
    ahead, left, here = window.uv_from_xy(np.array([(10.0, 0.0), (0.0, 5.0), (0.0, 0.0)]))
    assert ahead[0] == here[0]
    assert ahead[1] == pytest.approx(here[1] - 10 * window.px_per_m)
    assert left.tolist() == [pytest.approx(here[0] - 5 * window.px_per_m), here[1]]
    half = window.smaller(2)
    np.testing.assert_allclose((half.uv_from_xy(np.array([7.0, 3.0])) + 0.5) * 2 - 0.5,
                               window.uv_from_xy(np.array([7.0, 3.0])))  # fmt: skip


@pytest.mark.parametrize("yaw_deg", [0.0, 90.0, 180.0, -90.0, 45.0])
def test_the_window_shows_what_lies_towards_the_heading(yaw_deg: float) -> None:
    view = view_of(yaw_deg)
    heading = heading_of(view)
    assert math.remainder(heading - math.radians(yaw_deg), 2 * math.pi) == pytest.approx(0, abs=1e-9)
    uv = Window.towards(heading, *SIZE).uv_from_xy(
        np.array([(0.0, 0.0), 20 * np.array([math.cos(heading), math.sin(heading)])])
    )
    assert ((uv >= 0) & (uv < (SIZE[1], SIZE[0]))).all()


def test_the_field_of_view_begins_where_the_picture_does() -> None:
    view = view_of()
    field = field_of_view(view, 40.0)
    nearest = 1.8 / math.tan(math.atan((447.5 - 223.5) / 680) + math.radians(5))
    assert field[:, 0].min() == pytest.approx(1 + nearest, rel=1e-3)
    assert np.hypot(*(field - view.cam_xy_m).T).max() == pytest.approx(40)
    for point, inside in (((20, 0), 1), ((20, 9), 1), ((20, 13), -1), ((2, 0), -1), ((-20, 0), -1), ((42, 0), -1)):
        assert cv2.pointPolygonTest(field.astype(np.float32).reshape(-1, 1, 2), point, False) == inside
    assert half_view_of(view) == pytest.approx(math.atan(392 / 680))
    upwards = field_of_view(view_of(180.0), 40.0)
    assert upwards[:, 0].max() < 1


def test_layers_lie_where_they_are_and_only_in_view() -> None:
    view = view_of()
    bare = drawn(BevPanel(view, layers_of()))
    for name in LAYERS:
        found = drawn(BevPanel(view, layers_of(**{name: (14.0, 3.0)})))
        changed = np.abs(found.astype(int) - bare).sum(axis=2) > 40
        rows, columns = np.nonzero(changed)
        wanted = Window.towards(0.0, *SIZE).uv_from_xy(np.array([14.0, 3.0]))
        np.testing.assert_allclose((columns.mean(), rows.mean()), wanted, atol=2)
        assert np.array_equal(drawn(BevPanel(view, layers_of(**{name: (14.0, 12.0)}))), bare)  # beside the view
        assert np.array_equal(drawn(BevPanel(view, layers_of(**{name: (-5.0, 0.0)}))), bare)  # behind
    vehicle = at(drawn(BevPanel(view, layers_of(vehicles=(14.0, 3.0)))), 14, 3)
    assert vehicle[1] > 1.5 * vehicle[0]  # teal, as known things are


def test_what_is_unknown_glows_by_its_threshold() -> None:
    view = view_of()
    layers = layers_of(unknown=(14.0, 3.0))
    hot, bare = drawn(BevPanel(view, layers)), drawn(BevPanel(view, layers_of()))
    towards = ramp()[255].astype(float) - at(bare, 14, 3)
    assert float((at(hot, 14, 3) - at(bare, 14, 3)) @ towards / (towards @ towards)) > 0.5
    mild = replace(layers, unknown=layers.unknown * np.float32(0.3))
    assert np.array_equal(drawn(BevPanel(view, mild)), bare)
    assert not np.array_equal(drawn(BevPanel(view, mild), threshold=0.3), bare)


def test_what_was_not_seen_is_never_free() -> None:
    """NaN in the unknown layer hides what the network would draw there, drivable or not."""
    view, nothing = view_of(), drawn(BevPanel(None, None))
    free = layers_of()
    free.layers[LAYERS.index("drivable")] = 1
    seen = drawn(BevPanel(view, free))
    free.unknown[GRID.centres_xy_m()[..., 1] > 0] = np.nan
    half = drawn(BevPanel(view, free))
    assert np.abs(at(seen, 16, 4) - at(nothing, 16, 4)).sum() > 60
    np.testing.assert_allclose(at(half, 16, 4), at(nothing, 16, 4), atol=3)
    np.testing.assert_allclose(at(half, 16, -4), at(seen, 16, -4), atol=1)
    free.unknown[:] = np.nan
    blind = drawn(BevPanel(view, free))
    for x, y in ((8, 0), (16, 4), (26, -3)):
        np.testing.assert_allclose(at(blind, x, y), at(nothing, x, y), atol=3)


def test_without_a_network_s_layers_there_are_places_only() -> None:
    view, nothing = view_of(), drawn(BevPanel(None, None))
    panel = drawn(BevPanel(view, None), sighting(14, 3))
    assert np.abs(at(panel, 14, 3) - LEVEL_COLOURS[Level.STOP]).sum() < 250
    np.testing.assert_array_equal(at(panel, -5, 3), at(nothing, -5, 3))
    assert np.abs(at(panel, 16, -4) - at(nothing, 16, -4)).sum() > 20  # in view, and no more is said of it


@pytest.mark.parametrize(
    ("shown", "colour"),
    [
        (sighting(14, 3), LEVEL_COLOURS[Level.STOP]),
        (sighting(14, 3, level=Level.NOTICE), LEVEL_COLOURS[Level.NOTICE]),
        (sighting(14, 3, Kind.KNOWN, Level.NONE), TEAL),
    ],
)
def test_footprints_have_the_level_s_colour(shown: Sighting, colour: tuple[int, int, int]) -> None:
    panel = drawn(BevPanel(view_of(), None), shown)
    u, v = np.round(Window.towards(0.0, *SIZE).uv_from_xy(np.array([13.0, 3.0]))).astype(int)  # its near edge
    assert np.abs(panel[v - 3 : v + 4, u].astype(int) - colour).sum(axis=1).min() < 60


def test_an_unknown_thing_is_drawn_over_a_known_one() -> None:
    known, unknown = sighting(14, 3, Kind.KNOWN, Level.NONE), sighting(14, 3)
    view = BevPanel(view_of(), None)
    u, v = np.round(Window.towards(0.0, *SIZE).uv_from_xy(np.array([13.0, 3.0]))).astype(int)
    for order in ((known, unknown), (unknown, known)):
        edge = drawn(view, *order)[v - 3 : v + 4, u].astype(int)
        assert np.abs(edge - LEVEL_COLOURS[Level.STOP]).sum(axis=1).min() < 60


def test_odd_input_is_drawn() -> None:
    many = [sighting(4 + k, k - 15, level=Level(k % 5)) for k in range(30)]
    nowhere = Sighting("front", many[0].region, None, Level.STOP, ())
    far = sighting(1e6, -1e6)
    bare = Sighting("front", many[0].region, Placement(3.0, 0.0, (3.0, 0.0, 0.0)), Level.STOP, ())
    for size in ((1, 520), (2, 8), (30, 520), (90, 520), (1280, 520), (731, 60)):
        for shown in (
            BevPanel(view_of(), layers_of(unknown=(9.0, 0.0))),
            BevPanel(view_of(), None),
            BevPanel(None, None),
        ):
            drawn(shown, *many, nowhere, far, bare, size=size)
    empty = np.zeros((10, 30), np.float32)
    other = BevLayers(BevGrid(10, 30, 4.0), ("grass",), np.ones((1, 10, 30), np.float32), empty, empty + 1)
    drawn(BevPanel(view_of(90.0), other))


def test_the_overlay_is_wider_by_the_panel_and_the_picture_as_without() -> None:
    frame = Frame("front", np.full((448, 784, 3), 90, np.uint8), 0, 0)
    net = fit_to_network(frame.image, 224, 392, 14)
    health = Health(HealthState.OK)
    record = tick_record(7, health=health, sightings=(sighting(14, 3),))
    score = np.zeros((16, 28), np.float32)
    plain = draw_overlay(frame, net, score, record, 0.6)
    wide = draw_overlay(frame, net, score, record, 0.6, BevPanel(view_of(), layers_of()))
    assert plain.shape[1] == 1280
    assert wide.shape == (plain.shape[0], 1280 + PANEL_WIDTH, 3)
    assert wide.shape[1] % 2 == 0
    np.testing.assert_array_equal(wide[HEADER:-FOOTER, :1280], plain[HEADER:-FOOTER])
    lone = drawn(BevPanel(view_of(), layers_of()), sighting(14, 3), size=(wide.shape[0] - HEADER - FOOTER, PANEL_WIDTH))
    np.testing.assert_array_equal(wide[HEADER:-FOOTER, 1280:], lone)
