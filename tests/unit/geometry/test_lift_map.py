"""Patch maps seen from above, and metric depth as a distribution over the bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airside.errors import MismatchError, UsageError
from airside.geometry.bev_grid import BevGrid
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.lift_map import depth_probability_from_metric, lift_map
from airside.geometry.splat_table import DepthBins, NetworkRig, build_splat_table
from airside.geometry.transforms import ego_from_mounted_cam

CAMERA = PinholeCamera(fx=28.0, fy=28.0, cx=34.5, cy=20.5, width=70, height=42)
RIG = NetworkRig(
    [CAMERA, CAMERA],
    [ego_from_mounted_cam((0.0, 0.0, 2.0), yaw_deg=yaw, pitch_deg=10, roll_deg=0) for yaw in (0, 90)],
    14,
)
GRID = BevGrid(40, 40, 1.0)
BINS = DepthBins((2.0, 3.0, 5.0, 9.0, 13.0))
TABLE = build_splat_table(RIG, GRID, BINS)
SHAPE, MASS_SHAPE = (2, 3, 5), (2, 4, 3, 5)


def random_mass(rng: np.random.Generator) -> np.ndarray:
    mass = rng.random(MASS_SHAPE)
    return mass / mass.sum(axis=1, keepdims=True)


def test_equals_a_loop() -> None:
    rng = np.random.default_rng(0)
    values, mass = rng.random(SHAPE), random_mass(rng)
    total, summed = np.zeros(GRID.cells), np.zeros(GRID.cells)
    for patch, depth_bin, cell in zip(TABLE.patch, TABLE.depth_bin, TABLE.cell, strict=True):
        n, row, column = np.unravel_index(patch, SHAPE)
        total[cell] += mass[n, depth_bin, row, column]
        summed[cell] += mass[n, depth_bin, row, column] * values[n, row, column]
    seen = total >= 0.05
    lifted = lift_map(values, mass, TABLE)
    assert lifted.dtype == np.float32
    assert lifted.shape == GRID.shape
    np.testing.assert_array_equal(np.isfinite(lifted).ravel(), seen)
    np.testing.assert_allclose(lifted.ravel()[seen], summed[seen] / total[seen], rtol=1e-6)
    assert not np.allclose(lift_map(1 - values, mass, TABLE).ravel()[seen], summed[seen] / total[seen])


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.001, 2))
def test_stays_between_the_least_and_the_greatest(seed: int, min_mass: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.random(SHAPE)
    lifted = lift_map(values, random_mass(rng), TABLE, min_mass=min_mass)
    seen = lifted[np.isfinite(lifted)]
    assert ((seen >= values.min() - 1e-6) & (seen <= values.max() + 1e-6)).all()


def test_unobserved_is_not_zero() -> None:
    lifted = lift_map(np.zeros(SHAPE), random_mass(np.random.default_rng(1)), TABLE)
    reached = np.isin(np.arange(GRID.cells), TABLE.cell).reshape(GRID.shape)
    assert (lifted[np.isfinite(lifted)] == 0).all()
    assert np.isnan(lifted[~reached]).all()
    assert 0 < np.isfinite(lifted).sum() <= reached.sum()


def test_too_little_mass_is_unobserved() -> None:
    uniform = np.full(MASS_SHAPE, 0.25)
    count = TABLE.points_per_cell.reshape(GRID.shape)
    for points in (1, 2):
        observed = np.isfinite(lift_map(np.ones(SHAPE), uniform, TABLE, min_mass=0.25 * points))
        np.testing.assert_array_equal(observed, count >= points)
    assert np.isnan(lift_map(np.ones(SHAPE), np.zeros(MASS_SHAPE), TABLE)).all()


def test_a_patch_that_is_not_observed_says_nothing() -> None:
    mass = random_mass(np.random.default_rng(2))
    values = np.full(SHAPE, 0.5)
    values[0] = np.nan  # the camera ahead is stale
    lifted = lift_map(values, mass, TABLE)
    ahead = GRID.index_from_xy(np.array([6.5, 0.5]))
    left = GRID.index_from_xy(np.array([0.5, 6.5]))
    assert np.isfinite(lift_map(np.full(SHAPE, 0.5), mass, TABLE, min_mass=1e-9)[tuple(ahead)])
    assert np.isnan(lift_map(values, mass, TABLE, min_mass=1e-9)[tuple(ahead)])
    assert np.isfinite(lift_map(values, mass, TABLE, min_mass=1e-9)[tuple(left)])
    assert set(np.unique(lifted[np.isfinite(lifted)])) == {0.5}


def test_an_object_with_metric_depth_lands_where_it_stands() -> None:
    xyz_ego_m = np.array([7.0, 2.5, 1.0])
    xyz_cam_m = RIG.ego_from_cam[0].inverse().points(xyz_ego_m)
    u, v = np.round(CAMERA.uv_from_xyz_cam(xyz_cam_m)).astype(int)
    depth = np.full((2, 42, 70), np.nan)
    depth[0, v, u] = xyz_cam_m[2]
    fine = build_splat_table(RIG, GRID, DepthBins(tuple(np.arange(2, 13.1, 0.5).tolist())))
    mass = depth_probability_from_metric(depth, RIG.patch_grid, fine.bins)
    lifted = lift_map(np.ones(SHAPE), mass, fine)
    centre = GRID.xy_from_index(np.argwhere(np.isfinite(lifted)))
    assert 1 <= len(centre) <= 2
    assert (np.linalg.norm(centre - xyz_ego_m[:2], axis=1) < 2).all()


@pytest.mark.parametrize(
    ("depth_m", "mass"),
    [
        (2.5, [1, 0, 0, 0]),  # a centre
        (4.0, [0, 1, 0, 0]),
        (3.25, [0.5, 0.5, 0, 0]),  # half way between the centres 2.5 and 4
        (10.0, [0, 0, 0.25, 0.75]),  # between 7 and 11
        (2.0, [1, 0, 0, 0]),  # the first edge, before the first centre
        (13.0, [0, 0, 0, 1]),
        (1.99, [0, 0, 0, 0]),
        (13.01, [0, 0, 0, 0]),
        (np.nan, [0, 0, 0, 0]),
        (np.inf, [0, 0, 0, 0]),
        (-np.inf, [0, 0, 0, 0]),
        (0.0, [0, 0, 0, 0]),
        (-4.0, [0, 0, 0, 0]),
    ],
)
def test_depth_is_split_between_two_bins(depth_m: float, mass: list[float]) -> None:
    got = depth_probability_from_metric(np.full((1, 2, 3), depth_m), (2, 3), BINS)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, np.broadcast_to(np.array(mass)[None, :, None, None], (1, 4, 2, 3)), atol=1e-7)


@given(st.floats(2.5, 11.0))
def test_the_expected_depth_is_the_depth(depth_m: float) -> None:
    mass = depth_probability_from_metric(np.full((1, 1, 1), depth_m), (1, 1), BINS)[0, :, 0, 0]
    assert mass.sum() == pytest.approx(1, abs=1e-6)
    assert mass @ BINS.centres_m == pytest.approx(depth_m, abs=1e-5)


def test_a_patch_averages_its_measured_pixels() -> None:
    depth = np.full((1, 2, 4), np.nan)
    depth[0, :, :2] = [[2.5, 4.0], [4.0, np.nan]]  # a third, two thirds
    depth[0, :, 2:] = [[2.5, 40.0], [0.0, np.inf]]  # one of the two measured is beyond the bins
    mass = depth_probability_from_metric(depth, (1, 2), BINS)
    np.testing.assert_allclose(mass[0, :, 0], [[1 / 3, 0.5], [2 / 3, 0], [0, 0], [0, 0]], atol=1e-7)


def test_refuses_shapes_of_another_rig() -> None:
    values, mass = np.zeros(SHAPE), np.zeros(MASS_SHAPE)
    with pytest.raises(MismatchError, match=r"patch_map: this rig's table wants \[2, 3, 5\], got \[1, 3, 5\]"):
        lift_map(values[:1], mass, TABLE)
    with pytest.raises(MismatchError, match=r"depth_probability: .* wants \[2, 4, 3, 5\], got \[2, 3, 3, 5\]"):
        lift_map(values, mass[:, :3], TABLE)
    for shape in ((1, 43, 70), (1, 42, 71), (42, 70), (0, 42, 70)):
        with pytest.raises(MismatchError, match=r"multiples of the patch grid 3 x 5, got \["):
            depth_probability_from_metric(np.ones(shape), (3, 5), BINS)


def test_refuses_values_that_mean_nothing() -> None:
    values, mass = np.zeros(SHAPE), np.zeros(MASS_SHAPE)
    values[0, 0, 0] = np.inf
    with pytest.raises(UsageError, match="mark patches that are not observed with NaN"):
        lift_map(values, mass, TABLE)
    for bad in (np.nan, np.inf, -0.1):
        mass = np.zeros(MASS_SHAPE)
        mass[1, 1, 1, 1] = bad
        with pytest.raises(UsageError, match="depth_probability must be finite and not negative"):
            lift_map(np.zeros(SHAPE), mass, TABLE)
    with pytest.raises(UsageError, match="min_mass must be positive"):
        lift_map(np.zeros(SHAPE), np.zeros(MASS_SHAPE), TABLE, min_mass=0.0)
