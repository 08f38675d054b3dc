"""Footprints, paint and view on the grid: against loops, polygons and geometry one can see."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from airside.errors import UsageError
from airside.geometry.bev_grid import BevGrid
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.transforms import RigidTransform, ego_from_mounted_cam
from training.apron.ground import EXTENT_M, TEXTURE_PX, Ground, Surface
from training.bev_truth import Footprint, Site, apron_layers, footprint_cells, marking_cells, visible_cells

GRID = BevGrid(40, 40, 0.5)
TEXEL_M = EXTENT_M / TEXTURE_PX
FOOTPRINTS = st.builds(
    Footprint,
    st.floats(-6, 6),
    st.floats(-6, 6),
    st.floats(-7, 7),
    st.floats(0.3, 9),
    st.floats(0.3, 5),
)


def standing_at(x_m: float, y_m: float, yaw_rad: float) -> RigidTransform:
    """``world_from_ego``."""
    c, s = math.cos(yaw_rad), math.sin(yaw_rad)
    return RigidTransform(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]), np.array([x_m, y_m, 0.0]))


def plain_ground() -> Ground:
    labels = np.full((TEXTURE_PX, TEXTURE_PX), Surface.TARMAC, np.uint8)
    return Ground(np.zeros((*labels.shape, 3), np.uint8), labels, np.zeros(3))


@given(FOOTPRINTS)
@settings(max_examples=40, deadline=None)
def test_cells_are_those_whose_centre_is_in_the_polygon(footprint: Footprint) -> None:
    outline = footprint.corners_xy_m().astype(np.float32)[:, None]
    grid = BevGrid(14, 12, 1.1)
    found = footprint_cells(grid, [footprint])
    for index in np.ndindex(grid.shape):
        x, y = grid.xy_from_index(np.array(index))
        depth_m = cv2.pointPolygonTest(outline, (float(x), float(y)), True)
        if abs(depth_m) > 1e-4:
            assert found[index] == (depth_m > 0)


def test_a_footprint_heads_along_its_length_and_cells_add_up() -> None:
    ahead = footprint_cells(GRID, [Footprint(5.0, 2.0, 0.0, 6.0, 1.0)])
    assert ahead.sum() == 12 * 2
    assert np.ptp(np.nonzero(ahead)[0]) == 11
    left = footprint_cells(GRID, [Footprint(5.0, 2.0, np.pi / 2, 6.0, 1.0)])
    assert np.ptp(np.nonzero(left)[1]) == 11
    both = footprint_cells(GRID, [Footprint(5.0, 2.0, 0.0, 6.0, 1.0), Footprint(-5.0, 2.0, 0.0, 6.0, 1.0)])
    assert both.sum() == 48
    assert not footprint_cells(GRID, []).any()


def test_a_grown_footprint_contains_its_margin() -> None:
    footprint = Footprint(1.0, 0.0, 0.0, 2.0, 1.0)
    points = np.array([(2.2, 0.0), (1.0, 0.7), (2.2, 0.7), (2.4, 0.0)])
    assert not footprint.contains(points).any()
    assert footprint.contains(points, margin_m=0.25).tolist() == [True, True, True, False]


@given(FOOTPRINTS, FOOTPRINTS)
@settings(max_examples=60, deadline=None)
def test_the_gap_is_negative_where_two_overlap_and_never_more_than_the_distance(a: Footprint, b: Footprint) -> None:
    gap = a.gap_m(b)
    assert gap == pytest.approx(b.gap_m(a), abs=1e-12)
    # the largest disc inside both: a linear programme over its centre and radius
    sides = np.concatenate([f.corners_xy_m() for f in (a, b)])
    along = np.concatenate([np.roll(f.corners_xy_m(), -1, axis=0) - f.corners_xy_m() for f in (a, b)])
    out = np.stack([along[:, 1], -along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    disc = linprog([0, 0, -1], np.insert(out, 2, 1, axis=1), (out * sides).sum(axis=1), bounds=(None, None))
    if abs(disc.x[2]) > 1e-6:
        assert (gap < 0) == (disc.x[2] > 0)
    edge = np.linspace(0, 1, 40)[:, None, None]
    outline = (sides + edge * along).swapaxes(0, 1)
    between = outline[:4].reshape(-1, 1, 2) - outline[4:].reshape(1, -1, 2)
    assert np.hypot(between[..., 0], between[..., 1]).min() >= gap - 1e-9


@given(FOOTPRINTS, st.floats(-90, 90), st.floats(-90, 90), st.floats(-7, 7))
@settings(max_examples=60, deadline=None)
def test_another_frame_holds_the_same_points(footprint: Footprint, x: float, y: float, yaw: float) -> None:
    world_from_ego = standing_at(x, y, yaw)
    seen = footprint.seen_from(world_from_ego.inverse())
    np.testing.assert_allclose(
        world_from_ego.points(np.insert(seen.corners_xy_m(), 2, 0, axis=1))[:, :2],
        footprint.corners_xy_m(),
        atol=1e-9,
    )


@pytest.mark.parametrize(
    "change", [{"length_m": 0.0}, {"width_m": -1.0}, {"x_m": float("nan")}, {"yaw_rad": float("inf")}]
)
def test_a_footprint_without_sides_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="longer than 0 m"):
        Footprint(**{"x_m": 0.0, "y_m": 0.0, "yaw_rad": 0.0, "length_m": 1.0, "width_m": 1.0, **change})


AHEAD = ego_from_mounted_cam((1.1, 0.0, 1.8), yaw_deg=0, pitch_deg=0, roll_deg=0)
WIDE = PinholeCamera(49.0, 49.0, 48.5, 27.5, 98, 56)  # 90 degrees wide, 59.5 degrees high


def test_a_camera_ahead_sees_its_wedge_of_ground_and_nothing_else() -> None:
    seen = visible_cells(GRID, [WIDE], [AHEAD], [9.0])
    x, y = np.moveaxis(GRID.centres_xy_m(), -1, 0)
    # the lowest ray falls 28 px below the middle: 1.8 m down after 1.8 * 49 / 28 = 3.15 m
    wanted = (x > 1.1 + 1.8 * 49 / 28) & (np.abs(y) < x - 1.1) & (np.hypot(x, y) <= 9)
    np.testing.assert_array_equal(seen, wanted)
    assert 0 < seen.sum() < visible_cells(GRID, [WIDE], [AHEAD], [60.0]).sum()


def test_several_cameras_see_what_any_sees_and_a_loop_agrees() -> None:
    rng = np.random.default_rng(0)
    grid = BevGrid(14, 18, 1.3)
    poses = [
        ego_from_mounted_cam(
            (rng.uniform(-1, 1), rng.uniform(-1, 1), 2.0),
            yaw_deg=yaw,
            pitch_deg=rng.uniform(0, 25),
            roll_deg=rng.uniform(-9, 9),
        )
        for yaw in (-120.0, 20.0, 130.0)
    ]
    seen = visible_cells(grid, [WIDE] * 3, poses, [8.0, 11.0, 60.0])
    for index in np.ndindex(grid.shape):
        x, y = grid.xy_from_index(np.array(index))
        wanted = False
        for pose, limit in zip(poses, (8.0, 11.0, 60.0), strict=True):
            right, down, forward = np.linalg.solve(pose.matrix, (x, y, 0.0, 1.0))[:3]
            u, v = 49 * right / forward + 48.5, 49 * down / forward + 27.5
            wanted |= bool(forward > 0 and -0.5 <= u < 97.5 and -0.5 <= v < 55.5 and math.hypot(x, y) <= limit)
        assert seen[index] == wanted
    assert 0.2 < seen.mean() < 0.9


@pytest.mark.parametrize("pose", [(0.0, 0.0, 0.0), (31.7, -44.2, 2.3), (-118.0, 117.0, -1.1)])
def test_paint_marks_exactly_the_cells_it_lies_in(pose: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(1)
    ground = plain_ground()
    middle = round((EXTENT_M / 2 - pose[1]) / TEXEL_M), round((pose[0] + EXTENT_M / 2) / TEXEL_M)
    painted = [(middle[0] + int(r), middle[1] + int(c)) for r, c in rng.integers(-150, 150, (120, 2))]
    painted = [(r, c) for r, c in painted if 0 <= r < TEXTURE_PX and 0 <= c < TEXTURE_PX]
    for row, col in painted:
        ground.labels[row, col] = Surface.MARKING
    wanted = np.zeros(GRID.shape, bool)
    for row, col in painted:
        east, north = (col + 0.5) * TEXEL_M - 120 - pose[0], 120 - (row + 0.5) * TEXEL_M - pose[1]
        ahead = east * math.cos(pose[2]) + north * math.sin(pose[2])
        left = north * math.cos(pose[2]) - east * math.sin(pose[2])
        if abs(ahead) < 10 and abs(left) < 10:
            wanted[math.floor((ahead + 10) / 0.5), math.floor((left + 10) / 0.5)] = True
    found = marking_cells(GRID, ground, standing_at(*pose))
    np.testing.assert_array_equal(found, wanted)
    assert found.sum() > 15


def test_cells_smaller_than_the_paint_s_own_points_leave_no_holes() -> None:
    ground = plain_ground()
    ground.labels[:] = Surface.MARKING
    assert marking_cells(BevGrid(50, 50, 0.02), ground, standing_at(3.0, 4.0, 0.7)).all()


def test_layers_of_a_site() -> None:
    ground = plain_ground()
    ground.labels[: TEXTURE_PX // 2] = Surface.GRASS  # world y > 0
    ground.labels[-1000:, TEXTURE_PX // 2 :] = Surface.MARKING  # y < -26.25, x > 0
    house = Footprint(-6.0, -30.0, 0.0, 4.0, 60.0)  # x from -8 to -4
    paint_shed = Footprint(8.0, -30.0, 0.0, 2.0, 4.0)
    van = Footprint(2.0, -20.0, 0.4, 5.0, 2.0)
    grid = BevGrid(100, 100, 0.5)
    pose = standing_at(0.0, -20.0, np.pi / 2)  # ego x is world y, ego y is world -x
    vehicles, drivable, markings = apron_layers(Site(ground, (house, paint_shed)), [van], pose, grid)
    ahead, left = np.moveaxis(grid.centres_xy_m(), -1, 0)
    east, north = -left, ahead - 20
    in_house = (np.abs(east + 6) <= 2) & (np.abs(north + 30) <= 30)
    in_shed = (np.abs(east - 8) <= 1) & (np.abs(north + 30) <= 2)
    np.testing.assert_array_equal(drivable, (north < 0) & ~in_house & ~in_shed)
    np.testing.assert_array_equal(markings, (north < -26) & (east > 0) & ~in_shed)  # a cell that is painted in part too
    np.testing.assert_array_equal(vehicles, van.contains(np.stack([east, north], axis=-1)))
    assert (vehicles & drivable).sum() == vehicles.sum() > 30
