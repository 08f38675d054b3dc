"""Real calibration, real lidar: what a camera sees at its measured depth lands where the lidar says it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from airside.geometry.bev_grid import BevGrid
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.lift_map import depth_probability_from_metric, lift_map
from airside.geometry.splat_table import HEIGHT_RANGE_M, DepthBins, NetworkRig, SplatTable, build_splat_table
from airside.geometry.transforms import RigidTransform

SAMPLE = Path(__file__).parents[2].parent / "shared" / "data" / "nuscenes_sample"
pytestmark = pytest.mark.skipif(not SAMPLE.is_dir(), reason="../shared/data is absent")

GRID, BINS = BevGrid(), DepthBins()
BIN_M = 1.0


@dataclass(frozen=True)
class Drive:
    """One keyframe: cameras in their own 1600 x 900 px, lidar points in each camera's frame and in the ego frame.

    The sample's ``lidar2cam`` carries the drive between the lidar's and the camera's time, up to 0.4 m; its
    ``lidar2ego`` does not. ``xyz_ego_m`` is by ``lidar2ego`` alone: truth that uses nothing of the cameras.
    """

    intrinsics: tuple[PinholeCamera, ...]
    ego_from_cam: tuple[RigidTransform, ...]
    xyz_cam_m: tuple[np.ndarray, ...]  # N times [K, 3]
    xyz_ego_m: np.ndarray  # [K, 3]

    def rig(self, height: int, width: int, patch_px: int) -> NetworkRig:
        return NetworkRig([c.scaled_to(width, height) for c in self.intrinsics], self.ego_from_cam, patch_px)


@pytest.fixture(scope="module")
def drive() -> Drive:
    calibration = json.loads((SAMPLE / "calibration.json").read_text())
    lidar = np.load(SAMPLE / "lidar_top.npy")[:, :3].astype(np.float64)
    cameras = calibration["cameras"].values()
    assert len(cameras) == 6
    matrices = [np.array(camera["cam2img"]) for camera in cameras]
    ego_from_lidar = RigidTransform.from_matrix(np.array(calibration["lidar"]["lidar2ego"]))
    return Drive(
        tuple(PinholeCamera(k[0, 0], k[1, 1], k[0, 2], k[1, 2], 1600, 900) for k in matrices),
        tuple(RigidTransform.from_matrix(np.array(camera["cam2ego"])) for camera in cameras),
        tuple(RigidTransform.from_matrix(np.array(camera["lidar2cam"])).points(lidar) for camera in cameras),
        ego_from_lidar.points(lidar),
    )


@dataclass(frozen=True)
class Landing:
    """Of each lidar point a camera sees within the bins and the grid: the cell it is lifted to and its true place."""

    cell: np.ndarray  # [K] flat, -1 where the table has no row
    true_xy_m: np.ndarray  # [K, 2]
    depth_m: np.ndarray  # [K]

    @property
    def off_by_cells(self) -> np.ndarray:
        lifted = np.stack(np.divmod(self.cell, GRID.cells_y), axis=-1)
        off: np.ndarray = np.abs(lifted - GRID.index_from_xy(self.true_xy_m)).max(axis=-1)
        return np.where(self.cell < 0, GRID.cells_x, off)

    @property
    def off_by_m(self) -> np.ndarray:
        lifted = np.stack(np.divmod(self.cell, GRID.cells_y), axis=-1)
        off: np.ndarray = np.linalg.norm(GRID.xy_from_index(lifted) - self.true_xy_m, axis=-1)
        return np.where(self.cell < 0, np.inf, off)


def land(drive: Drive, rig: NetworkRig, table: SplatTable, true_xyz_ego_m: list[np.ndarray]) -> Landing:
    cell_of = np.full((table.patches, BINS.count), -1)
    cell_of[table.patch, table.depth_bin] = table.cell
    (height, width), (rows, columns) = rig.size_px, rig.patch_grid
    parts = []
    for n, (camera, xyz_cam_m, truth) in enumerate(zip(rig.intrinsics, drive.xyz_cam_m, true_xyz_ego_m, strict=True)):
        depth = xyz_cam_m[:, 2]
        pixel = np.floor(camera.uv_from_xyz_cam(xyz_cam_m) + 0.5)
        seen = (pixel >= 0).all(axis=1) & (pixel < (width, height)).all(axis=1)
        seen &= (depth >= BINS.edges_m[0]) & (depth < BINS.edges_m[-1])
        seen &= (GRID.flat_from_xy(truth[:, :2]) >= 0) & (truth[:, 2] >= HEIGHT_RANGE_M[0])
        seen &= truth[:, 2] < HEIGHT_RANGE_M[1]
        column, row = (pixel[seen] // rig.patch_px).astype(int).T
        depth_bin = np.searchsorted(BINS.edges_m, depth[seen], side="right") - 1
        parts.append((cell_of[(n * rows + row) * columns + column, depth_bin], truth[seen, :2], depth[seen]))
    return Landing(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def within_a_cell_or_a_bin(landing: Landing) -> float:
    return float(np.mean((landing.off_by_cells <= 1) | (landing.off_by_m <= BIN_M)))


@pytest.mark.parametrize(("height", "width", "patch_px"), [(224, 392, 2), (448, 784, 14), (896, 1596, 14)])
def test_lidar_points_land_in_their_cell(drive: Drive, height: int, width: int, patch_px: int) -> None:
    """The shipped size pixel by pixel (2 px), and two sizes by patches: 99 % within one cell or the bin's 1 m."""
    rig = drive.rig(height, width, patch_px)
    landing = land(drive, rig, build_splat_table(rig, GRID, BINS), [drive.xyz_ego_m] * 6)
    assert len(landing.cell) > 20_000
    assert within_a_cell_or_a_bin(landing) >= 0.99


def test_patches_at_the_shipped_size_land_within_their_own_footprint(drive: Drive) -> None:
    """At 224 x 392 a patch of these cameras is 2 m wide at 45 m, wider than bin and cell: its half is allowed for."""
    rig = drive.rig(224, 392, 14)
    landing = land(drive, rig, build_splat_table(rig, GRID, BINS), [drive.xyz_ego_m] * 6)
    half_patch_m = landing.depth_m * 14 / rig.intrinsics[0].fx / 2
    assert np.mean(landing.off_by_m <= BIN_M + half_patch_m) >= 0.99
    near = landing.depth_m < 20
    assert np.mean((landing.off_by_m <= BIN_M)[near]) >= 0.99


def test_with_the_drive_between_exposures_nearly_all_are_within_one_cell(drive: Drive) -> None:
    rig = drive.rig(896, 1596, 14)
    truth = [pose.points(xyz) for pose, xyz in zip(drive.ego_from_cam, drive.xyz_cam_m, strict=True)]
    landing = land(drive, rig, build_splat_table(rig, GRID, BINS), truth)
    assert np.mean(landing.off_by_cells <= 1) >= 0.99


def test_a_wrong_calibration_is_noticed(drive: Drive) -> None:
    rig = drive.rig(448, 784, 14)
    swapped = NetworkRig(rig.intrinsics, rig.ego_from_cam[::-1], 14)
    cosine, sine = np.cos(np.radians(5)), np.sin(np.radians(5))
    turned = RigidTransform(np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]), np.zeros(3))
    for wrong in (swapped, NetworkRig(rig.intrinsics, [turned @ pose for pose in rig.ego_from_cam], 14)):
        landing = land(drive, wrong, build_splat_table(wrong, GRID, BINS), [drive.xyz_ego_m] * 6)
        assert within_a_cell_or_a_bin(landing) < 0.9


def test_a_lidar_depth_map_lifts_to_where_the_lidar_points_are(drive: Drive) -> None:
    rig = drive.rig(448, 784, 14)
    table = build_splat_table(rig, GRID, BINS)
    depth = np.full((6, 448, 784), np.nan)
    for n, (camera, xyz_cam_m) in enumerate(zip(rig.intrinsics, drive.xyz_cam_m, strict=True)):
        pixel = np.floor(camera.uv_from_xyz_cam(xyz_cam_m) + 0.5)
        seen = (pixel >= 0).all(axis=1) & (pixel < (784, 448)).all(axis=1)
        u, v = pixel[seen].astype(int).T
        depth[n, v, u] = xyz_cam_m[seen, 2]
    lifted = lift_map(np.ones((6, *rig.patch_grid)), depth_probability_from_metric(depth, rig.patch_grid, BINS), table)
    has_lidar = np.zeros(GRID.cells, bool)
    cell = GRID.flat_from_xy(drive.xyz_ego_m[:, :2])
    has_lidar[cell[cell >= 0]] = True
    padded = np.pad(has_lidar.reshape(GRID.shape), 2)
    near_lidar = np.max([np.roll(padded, step, (0, 1)) for step in np.ndindex(5, 5)], axis=0)[4:, 4:]
    observed = np.isfinite(lifted)
    assert 1000 < observed.sum() < GRID.cells / 2
    assert near_lidar[observed].mean() >= 0.99
