"""Which cell each patch reaches at each depth."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airside.errors import UsageError
from airside.geometry.bev_grid import BevGrid
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.splat_table import DepthBins, NetworkRig, SplatTable, build_splat_table, sample_voxels
from airside.geometry.transforms import RigidTransform, ego_from_mounted_cam

# 5 x 3 patches of 14 px; the optical axis runs through the centre of the middle one.
CAMERA = PinholeCamera(fx=28.0, fy=28.0, cx=34.5, cy=20.5, width=70, height=42)
AHEAD = ego_from_mounted_cam((1.0, 0.0, 2.0), yaw_deg=0, pitch_deg=0, roll_deg=0)
RIG = NetworkRig([CAMERA], [AHEAD], 14)
GRID = BevGrid(40, 40, 0.5)
BINS = DepthBins((2.0, 3.0, 5.0, 9.0))
MIDDLE = 1 * 5 + 2


def random_rig(rng: np.random.Generator) -> NetworkRig:
    rows, columns, patch_px = (int(value) for value in rng.integers(2, 5, 3))
    height, width = rows * patch_px, columns * patch_px
    cameras = int(rng.integers(1, 4))
    intrinsics = [
        PinholeCamera(*(rng.uniform(0.5, 1.5, 2) * width), *(rng.uniform(0.3, 0.7, 2) * (width, height)), width, height)
        for _ in range(cameras)
    ]
    poses = [
        ego_from_mounted_cam(
            (rng.uniform(-2, 2), rng.uniform(-2, 2), rng.uniform(0.5, 3)),
            yaw_deg=rng.uniform(-180, 180),
            pitch_deg=rng.uniform(-5, 30),
            roll_deg=rng.uniform(-5, 5),
        )
        for _ in range(cameras)
    ]
    return NetworkRig(intrinsics, poses, patch_px)


def test_default_bins_are_41_from_4_to_45_m() -> None:
    bins = DepthBins()
    assert bins.count == 41
    assert bins.edges_m[0] == 4
    assert bins.edges_m[-1] == 45
    np.testing.assert_allclose(bins.centres_m, np.arange(4.5, 45))


def test_the_middle_patch_lands_straight_ahead() -> None:
    table = build_splat_table(RIG, GRID, BINS)
    mine = table.patch == MIDDLE
    wanted = GRID.flat_from_xy(np.array([[1 + 2.5, 0.0], [1 + 4.0, 0.0], [1 + 7.0, 0.0]]))
    np.testing.assert_array_equal(table.cell[mine], wanted)
    np.testing.assert_array_equal(table.depth_bin[mine], [0, 1, 2])


def test_a_patch_to_the_left_lands_to_the_left() -> None:
    table = build_splat_table(RIG, GRID, BINS)
    one_left = (table.patch == MIDDLE - 1) & (table.depth_bin == 1)  # 14 px at fx 28: half a metre per metre of depth
    assert table.cell[one_left] == GRID.flat_from_xy(np.array([1 + 4.0, 2.0]))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_equals_a_loop_over_matrices(seed: int) -> None:
    rig = random_rig(np.random.default_rng(seed))
    wanted = []
    columns, p = rig.patch_grid[1], rig.patch_px
    for n, (camera, pose) in enumerate(zip(rig.intrinsics, rig.ego_from_cam, strict=True)):
        k = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])
        for row, column in np.ndindex(rig.patch_grid):
            for d, (near, far) in enumerate(zip(BINS.edges_m, BINS.edges_m[1:], strict=False)):
                uv1 = np.array([column * p + (p - 1) / 2, row * p + (p - 1) / 2, 1])
                x, y, z, _ = pose.matrix @ np.append(np.linalg.inv(k) @ uv1 * (near + far) / 2, 1)
                if abs(x) < 10 and abs(y) < 10 and -1 <= z < 3:
                    cell = math.floor((x + 10) / 0.5) * 40 + math.floor((y + 10) / 0.5)
                    wanted.append((cell, (n * rig.patch_grid[0] + row) * columns + column, d))
    if not wanted:
        with pytest.raises(UsageError, match="no patch of this rig sees the BEV grid"):
            build_splat_table(rig, GRID, BINS, (-1.0, 3.0))
        return
    table = build_splat_table(rig, GRID, BINS, (-1.0, 3.0))
    got = list(zip(table.cell.tolist(), table.patch.tolist(), table.depth_bin.tolist(), strict=True))
    assert got == sorted(wanted)
    assert table.points_per_cell.sum() == len(wanted)
    assert table.points_per_cell[table.cell[0]] == sum(cell == table.cell[0] for cell, _, _ in wanted)


def test_points_outside_the_heights_are_dropped() -> None:
    lower = build_splat_table(RIG, GRID, BINS, (-5.0, 1.9))  # the optical axis is at 2 m: only the lowest row is under
    assert set(lower.patch.tolist()) == {10, 11, 12, 13, 14}
    everything = build_splat_table(RIG, GRID, BINS, (-100.0, 100.0))
    assert set(everything.patch.tolist()) == set(range(15))


def test_points_outside_the_grid_are_dropped() -> None:
    table = build_splat_table(RIG, BevGrid(18, 200, 0.5), BINS)  # ends 4.5 m ahead; the bins are 3.5, 5 and 8 m ahead
    assert set(table.depth_bin.tolist()) == {0}


def test_the_table_cannot_be_written_to() -> None:
    table = build_splat_table(RIG, GRID, BINS)
    for column in (table.patch, table.depth_bin, table.cell):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


def test_refuses_a_rig_that_sees_nothing() -> None:
    far = NetworkRig([CAMERA], [RigidTransform(AHEAD.rotation, np.array([1000.0, 0, 2]))], 14)
    with pytest.raises(UsageError, match=r"no patch of this rig sees the BEV grid \(40 x 40 cells of 0.5 m"):
        build_splat_table(far, GRID, BINS)
    with pytest.raises(UsageError, match="no camera of this rig sees the BEV grid"):
        sample_voxels(far, GRID, [0.0])
    with pytest.raises(UsageError, match="height_range_m must run from low to high"):
        build_splat_table(RIG, GRID, BINS, (3.0, -1.0))


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ((), "two or more edges"),
        ((4.0,), "two or more edges"),
        ((4.0, 5.0, 5.0), "must increase"),
        ((4.0, 6.0, 5.0), "must increase"),
        ((0.0, 5.0), "must be positive and finite"),
        ((4.0, math.nan, 6.0), "must be positive and finite"),
        ((4.0, math.inf), "must be positive and finite"),
    ],
)
def test_refuses_bins_that_are_none(edges: tuple[float, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DepthBins(edges)


@pytest.mark.parametrize(
    ("intrinsics", "poses", "patch_px", "message"),
    [
        ([], [], 14, "this rig has no intrinsics"),
        ([CAMERA, None], [AHEAD, AHEAD], 14, "camera 1 has no intrinsics"),
        ([CAMERA], [None], 14, "camera 0 has no ego_from_cam"),
        ([CAMERA, CAMERA], [AHEAD], 14, "2 intrinsics but 1 poses"),
        ([CAMERA, CAMERA.scaled_to(140, 84)], [AHEAD, AHEAD], 14, "pictures of one size"),
        ([CAMERA], [AHEAD], 16, "multiple of the patch, 16 px, got 42 x 70"),
        ([CAMERA], [AHEAD], 0, "multiple of the patch, 0 px"),
    ],
)
def test_refuses_a_rig_without_geometry(intrinsics: list, poses: list, patch_px: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        NetworkRig(intrinsics, poses, patch_px)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cell": [3, 1]}, "sorted by cell"),
        ({"cell": [1, 1600]}, r"cell must lie in 0..1599, got 1..1600"),
        ({"patch": [0, -1]}, r"patch must lie in 0..14, got -1..0"),
        ({"depth_bin": [0, 3]}, r"depth_bin must lie in 0..2, got 0..3"),
        ({"depth_bin": [0]}, r"wanted depth_bin \[2\], got \[1\]"),
    ],
)
def test_refuses_a_damaged_table(changed: dict[str, Any], message: str) -> None:
    columns = {"patch": [0, 1], "depth_bin": [0, 1], "cell": [1, 3]}
    good = SplatTable(GRID, BINS, 1, (3, 5), **{name: np.array(value) for name, value in columns.items()})
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(good, **{name: np.array(value) for name, value in changed.items()})


def looks(*positions: tuple[float, float, float]) -> dict[int, float]:
    """The weights, by patch, of the voxel 2 m above the ego origin; cameras at ``positions`` look ahead."""
    poses = [ego_from_mounted_cam(xyz, yaw_deg=0, pitch_deg=0, roll_deg=0) for xyz in positions]
    samples = sample_voxels(NetworkRig([CAMERA] * len(poses), poses, 14), BevGrid(1, 1, 0.5), [2.0])
    assert set(samples.voxel) == {0}
    weights = np.bincount(samples.patch, samples.weight)
    return {int(patch): float(weights[patch]) for patch in np.flatnonzero(weights)}


def test_a_voxel_looks_where_it_is_projected() -> None:
    assert looks((-4, 0, 2)) == {MIDDLE: 1.0}
    assert looks((-4, 1, 2)) == {MIDDLE: 0.5, MIDDLE + 1: 0.5}  # one metre to the right, at 28 px / 4 m: half a patch
    assert looks((-4, 0, 2.5)) == {MIDDLE: 0.75, MIDDLE + 5: 0.25}
    assert looks((-4, 4.9, 2)) == {MIDDLE + 2: 1.0}  # past the last patch's centre, still in the picture


def test_a_voxel_averages_the_cameras_that_see_it() -> None:
    behind, beside = (4, 0, 2), (-4, 5.1, 2)  # 5.1 m at 7 px a metre: out of the picture
    assert looks((-4, 0, 2), behind, beside, (-4, 1, 2)) == {MIDDLE: 0.5, 45 + MIDDLE: 0.25, 45 + MIDDLE + 1: 0.25}


def test_voxels_are_numbered_by_cell_then_height() -> None:
    samples = sample_voxels(RIG, GRID, [0.0, 2.0])
    assert (np.diff(samples.voxel) >= 0).all()
    cell = GRID.flat_from_xy(np.array([1 + 4.1, 0.1]))
    high = samples.voxel == cell * 2 + 1
    low = samples.voxel == cell * 2
    assert set(samples.patch[high & (samples.weight > 0.5)]) == {MIDDLE}
    assert set(samples.patch[low & (samples.weight > 0.5)]) == {MIDDLE + 5}
    np.testing.assert_allclose(np.bincount(samples.voxel, samples.weight)[np.unique(samples.voxel)], 1, rtol=1e-6)


def test_ray_features_tell_lens_ground_and_rise() -> None:
    """A level camera 2 m up: below the horizon the plane's depth is known in closed form."""
    camera = PinholeCamera(fx=392.0, fy=392.0, cx=34.5, cy=20.5, width=70, height=42)
    rig = NetworkRig([camera], [ego_from_mounted_cam((1.0, 0.0, 2.0), yaw_deg=40, pitch_deg=0, roll_deg=0)], 14)
    lens, ground, rise = np.moveaxis(rig.ray_features()[0], -1, 0)
    np.testing.assert_allclose(lens, np.log(2), rtol=1e-6)
    v = rig.patch_centres_uv_px()[..., 1]
    np.testing.assert_allclose(rise, -(v - 20.5) / 392, atol=1e-6)
    np.testing.assert_allclose(ground, 4 * (v - 20.5) / 392 / 2, atol=1e-6)
