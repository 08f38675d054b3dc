"""The camera at the network's size is the camera: what both say of a point of the world is the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from airside.cameras.fit import fit_to_network
from airside.config import CameraConfig, MountConfig
from airside.engine.bundle import Manifest, open_bundle
from airside.errors import MismatchError, UsageError
from airside.fusion.bev_layers import measured_depth, rig_above
from airside.fusion.mounted import ego_rays, mounted_view
from airside.geometry.bev_view import observed_only
from tests.builders import tiny_bundle, tiny_view


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return open_bundle(tiny_bundle(tmp_path_factory.mktemp("above") / "model", depth=True, bev=True)).manifest


@pytest.mark.parametrize("size", [(784, 448), (800, 448), (448, 448), (1000, 300)])
def test_the_network_s_pixels_are_the_frame_s(size: tuple[int, int]) -> None:
    width, height = size
    mount = CameraConfig("front", width, height, 600.0, 590.0, 390.0, 220.0, MountConfig((1, 0.5, 2), 10, 5, 1), 60.0)
    net = fit_to_network(np.zeros((height // 2, width // 2, 3), np.uint8), 224, 392, 14)
    view = mounted_view(mount, (height // 2, width // 2, 3), net)
    xyz_cam = np.random.default_rng(0).uniform((-5, -3, 4), (5, 3, 40), (50, 3))
    at_frame, at_network = view.frame.uv_from_xyz_cam(xyz_cam), view.network.uv_from_xyz_cam(xyz_cam)
    np.testing.assert_allclose(at_network * net.scale + net.offset_px, at_frame, atol=1e-9)
    np.testing.assert_allclose(view.network_from_frame(at_frame), at_network, atol=1e-9)
    assert (view.network.width, view.network.height, view.patch_px) == (392, 224, 14)
    rays = ego_rays(view, (32, 56))
    v, u = 5, 40  # its centre in the network's pixels, seven to a side
    seen = view.network.uv_from_xyz_cam(view.ego_from_cam.inverse().points(view.ego_from_cam.translation_m + 9 * rays))
    np.testing.assert_allclose(seen[v, u], (7 * u + 3, 7 * v + 3), atol=1e-9)
    depth = view.ego_from_cam.inverse().points(view.ego_from_cam.translation_m + 9 * rays)[..., 2]
    np.testing.assert_allclose(depth, 9)


def test_frames_of_another_shape_are_refused() -> None:
    mount = CameraConfig("front", 784, 448, 600.0, 600.0, 391.5, 223.5, MountConfig((1, 0, 2)), 60.0)
    image = np.zeros((448, 448, 3), np.uint8)
    with pytest.raises(MismatchError, match="another shape"):
        mounted_view(mount, image.shape, fit_to_network(image, 224, 392, 14))


def test_a_camera_that_sees_nothing_of_the_grid_is_refused(manifest: Manifest) -> None:
    mount = CameraConfig("front", 98, 56, 49.0, 49.0, 48.5, 27.5, MountConfig((1000, 0, 2)), 60.0)
    with pytest.raises(UsageError, match="sees the BEV grid"):
        rig_above([mount], manifest)


def test_the_rig_from_above_without_a_camera(manifest: Manifest) -> None:
    front = CameraConfig("front", 98, 56, 49.0, 49.0, 48.5, 27.5, MountConfig((1, 0, 2)), 60.0)
    rear = CameraConfig("rear", 98, 56, 49.0, 49.0, 48.5, 27.5, MountConfig((-1, 0, 2), yaw_deg=180.0), 60.0)
    above = rig_above([front, rear], manifest)
    assert above is not None
    assert above.seen_by({"front", "rear"}) is above.view
    alone = above.seen_by({"rear"})
    assert alone is not None
    assert (alone.table.cameras, alone.table.patch.min() >= 28) == (2, True)
    assert above.seen_by(set()) is None


def test_only_what_is_observed_is_lifted() -> None:
    view = tiny_view(2)
    observed = np.zeros((2, 4, 7), bool)
    observed[1, 3, 2:4] = True
    left = observed_only(view, observed).table
    assert set(left.patch) == {28 + 3 * 7 + 2, 28 + 3 * 7 + 3}
    kept = np.isin(view.table.patch, left.patch)
    for name in ("patch", "depth_bin", "cell"):
        assert np.array_equal(getattr(left, name), getattr(view.table, name)[kept])
    with pytest.raises(UsageError, match="no observed patch"):
        observed_only(view, np.zeros((2, 4, 7), bool))


def test_a_camera_without_depth_measures_nothing(tmp_path: Path) -> None:
    manifest = open_bundle(tiny_bundle(tmp_path / "model", depth=True, bev=True)).manifest
    depth_m = np.full((8, 14), 7.0, np.float32)
    measured = measured_depth([None, depth_m, None], manifest)
    assert measured is not None
    assert (measured.shape, measured.dtype) == ((3, 4, 4, 7), np.float32)
    np.testing.assert_allclose(measured.sum(axis=1), np.array([0, 1, 0])[:, None, None] * np.ones((3, 4, 7)))
    assert measured_depth([None, None], manifest) is None
