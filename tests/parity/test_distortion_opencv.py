"""The distortion models against OpenCV's, on random cameras, wherever the lens has not folded back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from airside.geometry.camera_model import PinholeCamera
from airside.geometry.distortion import DistortedCamera

SPREAD = {  # of k1 k2 p1 p2 k3 k4 k5 k6; of the fisheye k1 k2 k3 k4
    "plumb_bob": (0.3, 0.1, 0.003, 0.003, 0.03),
    "rational": (0.3, 0.1, 0.003, 0.003, 0.03, 0.1, 0.1, 0.03),
    "equidistant": (0.05, 0.02, 0.01, 0.003),
}


def random_camera(model: str, seed: int) -> DistortedCamera:
    rng = np.random.default_rng(seed)
    fx, fy, cx, cy = rng.uniform((300, 300, 560, 300), (900, 900, 720, 420))
    coefficients = rng.normal(0, SPREAD[model])
    if model == "plumb_bob" and seed % 2:
        coefficients = coefficients[:4]
    return DistortedCamera(PinholeCamera(fx, fy, cx, cy, 1280, 720), model, tuple(coefficients.tolist()))


def points_within(camera: DistortedCamera, seed: int, share: float = 0.98) -> np.ndarray:
    """[500, 3] in front of the camera, within ``share`` of its lens."""
    rng = np.random.default_rng([seed, 1])
    angle = rng.uniform(0, min(camera.limit_rad, 1.4) * share, 500)
    around = rng.uniform(0, 2 * np.pi, 500)
    ray = np.stack([np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around), np.cos(angle)], axis=-1)
    return ray * rng.uniform(0.5, 50, (500, 1))


def opencv_uv(camera: DistortedCamera, xyz: np.ndarray) -> np.ndarray:
    k = camera.intrinsics
    matrix, zero = np.array([[k.fx, 0, k.cx], [0, k.fy, k.cy], [0, 0, 1]]), np.zeros(3)
    project = cv2.fisheye.projectPoints if camera.model == "equidistant" else cv2.projectPoints
    return np.asarray(project(xyz[:, None], zero, zero, matrix, np.array(camera.coefficients))[0])[:, 0]


@pytest.mark.parametrize("model", list(SPREAD))
@pytest.mark.parametrize("seed", range(25))
def test_pixels_as_opencv_projects_them(model: str, seed: int) -> None:
    camera = random_camera(model, seed)
    xyz = points_within(camera, seed)
    np.testing.assert_allclose(camera.uv_from_xyz_cam(xyz), opencv_uv(camera, xyz), rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("model", list(SPREAD))
@pytest.mark.parametrize("seed", range(25))
def test_rays_as_opencv_undistorts_them(model: str, seed: int) -> None:
    camera = random_camera(model, seed)
    xyz = points_within(camera, seed, 0.6)  # OpenCV's fixed-point iteration leaves the rails farther out
    uv = opencv_uv(camera, xyz)
    ray = camera.ray_cam_from_uv(uv)
    k = camera.intrinsics
    matrix, d = np.array([[k.fx, 0, k.cx], [0, k.fy, k.cy], [0, 0, 1]]), np.array(camera.coefficients)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-12)
    if model == "equidistant":
        straight = cv2.fisheye.undistortPoints(uv[:, None], matrix, d, criteria=stop)[:, 0]
    else:
        straight = cv2.undistortPoints(uv[:, None], matrix, d, criteria=stop)[:, 0]
    converged = np.abs(straight - xyz[:, :2] / xyz[:, 2:]).max(axis=1) < 1e-6
    assert converged.mean() > 0.9
    np.testing.assert_allclose((ray[:, :2] / ray[:, 2:])[converged], straight[converged], atol=1e-5)
