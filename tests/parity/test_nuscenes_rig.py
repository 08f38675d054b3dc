"""The rig imported from a real calibration: lidar points and annotated objects lie where its cameras show them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from airside.config import RigConfig, load_rig
from airside.config.nuscenes import rig_from_nuscenes
from airside.config.rig_file import save_rig
from airside.coverage import NetworkSize, coverage_of
from airside.geometry.transforms import RigidTransform

SAMPLE = Path(__file__).parents[2].parent / "shared" / "data" / "nuscenes_sample"
pytestmark = pytest.mark.skipif(not SAMPLE.is_dir(), reason="../shared/data is absent")

BEARINGS_DEG = {  # where nuScenes mounts its cameras
    "CAM_FRONT": 0, "CAM_FRONT_LEFT": 55, "CAM_FRONT_RIGHT": -55, "CAM_BACK": 180, "CAM_BACK_LEFT": 110,
    "CAM_BACK_RIGHT": -110,
}  # fmt: skip


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> RigConfig:
    """As a vehicle has it: imported, written, read."""
    path = tmp_path_factory.mktemp("rig") / "rig.yaml"
    imported = rig_from_nuscenes(SAMPLE / "calibration.json", max_range_m=60.0)
    save_rig(imported, path)
    assert load_rig(path) == imported
    return imported


@pytest.fixture(scope="module")
def calibration() -> dict:
    return dict(json.loads((SAMPLE / "calibration.json").read_text()))


def in_ego(calibration: dict, xyz_lidar_m: np.ndarray) -> np.ndarray:
    return RigidTransform.from_matrix(np.array(calibration["lidar"]["lidar2ego"])).points(xyz_lidar_m)


def test_the_cameras_are_those_of_the_calibration(rig: RigConfig, calibration: dict) -> None:
    assert {camera.name for camera in rig.cameras} == set(BEARINGS_DEG)
    for camera in rig.cameras:
        entry = calibration["cameras"][camera.name]
        np.testing.assert_allclose(camera.ego_from_cam.transform.matrix, entry["cam2ego"], atol=1e-6)
        picture = Image.open(SAMPLE / f"{camera.name}.jpg")
        assert (camera.width, camera.height) == picture.size
        ahead = camera.ego_from_cam.transform.rotation[:, 2]
        off = np.degrees(np.arctan2(ahead[1], ahead[0])) - BEARINGS_DEG[camera.name]
        assert abs((off + 180) % 360 - 180) < 3


def test_lidar_points_project_where_the_samples_own_matrices_put_them(rig: RigConfig, calibration: dict) -> None:
    """``lidar2cam`` is of another way through the calibration; the drive between the two exposures is up to 0.4 m."""
    lidar = np.load(SAMPLE / "lidar_top.npy")[:, :3].astype(np.float64)
    xyz_ego = in_ego(calibration, lidar)
    for camera in rig.cameras:
        truth = RigidTransform.from_matrix(np.array(calibration["cameras"][camera.name]["lidar2cam"])).points(lidar)
        wanted = camera.pinhole.uv_from_xyz_cam(truth)
        seen = camera.pinhole.in_picture(wanted) & (truth[:, 2] > 5)
        assert seen.sum() > 1000
        found = camera.pinhole.uv_from_xyz_cam(camera.ego_from_cam.transform.inverse().points(xyz_ego))
        off_m = np.linalg.norm(found - wanted, axis=1) * truth[:, 2] / camera.fx
        assert np.quantile(off_m[seen], 0.99) < 0.5


def test_objects_lie_in_the_pictures_that_look_their_way(rig: RigConfig, calibration: dict) -> None:
    boxes = json.loads((SAMPLE / "boxes.json").read_text())
    assert len(boxes) == 69
    centres = in_ego(calibration, np.array([box["box_lidar_xyz_lwh_yaw"][:3] for box in boxes]))
    bearing = np.degrees(np.arctan2(centres[:, 1], centres[:, 0]))
    seen = {}
    for camera in rig.cameras:
        uv = camera.pinhole.uv_from_xyz_cam(camera.ego_from_cam.transform.inverse().points(centres))
        seen[camera.name] = camera.pinhole.in_picture(uv)
        off = np.abs((bearing - BEARINGS_DEG[camera.name] + 180) % 360 - 180)
        half = np.degrees(np.arctan(camera.width / 2 / camera.fx))
        far = np.hypot(centres[:, 0], centres[:, 1]) > 10  # the cameras stand up to 1.7 m from the ego origin
        assert not seen[camera.name][far & (off > half + 10)].any()
        assert seen[camera.name][far & (off < half - 10)].all()
    assert np.stack(list(seen.values())).any(axis=0).mean() > 0.95


def test_the_known_rig_is_seen_as_it_is(rig: RigConfig) -> None:
    coverage = coverage_of(rig, NetworkSize(224, 392, 14))
    fields = {view.name: view.fov_deg[0] for view in coverage.views}
    assert fields["CAM_BACK"] == pytest.approx(89, abs=2)
    assert all(fov == pytest.approx(65, abs=2) for name, fov in fields.items() if name != "CAM_BACK")
    assert not coverage.blind_bearings(27.0)
    assert all(view.ground_from_m is not None and 2 < view.ground_from_m < 6 for view in coverage.views)
