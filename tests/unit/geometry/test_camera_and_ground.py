"""Pixels to rays, rays to the ground, and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airside.errors import MismatchError, UsageError
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.ground import foot_uv_px, ground_point_from_uv, placement_from_region
from airside.geometry.transforms import RigidTransform, ego_from_mounted_cam
from airside.messages import Kind, Region

CAMERA = PinholeCamera(fx=196.0, fy=196.0, cx=195.5, cy=111.5, width=392, height=224)
MOUNT = ego_from_mounted_cam((1.2, 0.0, 1.8), yaw_deg=0, pitch_deg=3, roll_deg=0)


def region_with(outline: list[tuple[float, float]], box: tuple[float, float, float, float] = (0, 0, 1, 1)) -> Region:
    return Region(Kind.UNKNOWN, "cone", 0.4, 0.9, 5.0, box, np.array(outline, np.float32).reshape(-1, 2))


@given(st.floats(-100, 500), st.floats(-100, 400), st.floats(0.1, 100))
def test_ray_and_projection_are_inverse(u: float, v: float, distance: float) -> None:
    ray = CAMERA.ray_cam_from_uv(np.array([u, v]))
    assert np.linalg.norm(ray) == pytest.approx(1)
    np.testing.assert_allclose(CAMERA.uv_from_xyz_cam(ray * distance), [u, v], atol=1e-8)


def test_known_rays() -> None:
    rays = CAMERA.ray_cam_from_uv(np.array([[195.5, 111.5], [195.5 + 196, 111.5], [195.5, 111.5 - 196]]))
    half = math.sqrt(0.5)
    np.testing.assert_allclose(rays, [[0, 0, 1], [half, 0, half], [0, -half, half]], atol=1e-12)


def test_points_behind_have_no_pixel() -> None:
    uv = CAMERA.uv_from_xyz_cam(np.array([[0, 0, 1.0], [0, 0, 0.0], [1, 1, -2.0]]))
    assert np.isfinite(uv[0]).all()
    assert np.isnan(uv[1:]).all()


def test_scaled_camera_sees_the_same() -> None:
    double = CAMERA.scaled_to(784, 448)
    corner = np.array([-0.5, -0.5])  # the outer corner of the picture, in either
    np.testing.assert_allclose(double.ray_cam_from_uv(corner), CAMERA.ray_cam_from_uv(corner))
    np.testing.assert_allclose(
        double.ray_cam_from_uv(np.array([783.5, 447.5])), CAMERA.ray_cam_from_uv(np.array([391.5, 223.5]))
    )
    with pytest.raises(MismatchError, match="another shape"):
        CAMERA.scaled_to(416, 416)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("fx", 0.0, "fx must be positive"),
        ("fy", -1.0, "fy must be positive"),
        ("width", 0, "width must be positive"),
        ("height", -3, "height must be positive"),
        ("cx", math.nan, "cx must be a finite"),
        ("fx", math.inf, "fx must be a finite"),
    ],
)
def test_refuses_bad_intrinsics(field: str, value: float, message: str) -> None:
    values = {"fx": 1.0, "fy": 1.0, "cx": 1.0, "cy": 1.0, "width": 10, "height": 10} | {field: value}
    with pytest.raises(UsageError, match=message):
        PinholeCamera(**values)  # type: ignore[arg-type]


def test_refuses_wrong_shapes() -> None:
    with pytest.raises(UsageError, match=r"pixels \[..., 2\], got \[3\]"):
        CAMERA.ray_cam_from_uv(np.zeros(3))
    with pytest.raises(UsageError, match=r"points \[..., 3\], got \[2\]"):
        CAMERA.uv_from_xyz_cam(np.zeros(2))


@given(st.floats(3, 50), st.floats(-20, 20), st.floats(-30, 30), st.floats(-5, 20), st.floats(-5, 5), st.floats(0.5, 4))
def test_ground_points_come_back(x: float, y: float, yaw: float, pitch: float, roll: float, height: float) -> None:
    mount = ego_from_mounted_cam((1.2, 0.3, height), yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll)
    uv = CAMERA.uv_from_xyz_cam(mount.inverse().points(np.array([x, y, 0.0])))
    if np.isnan(uv).any():
        return
    point = ground_point_from_uv((float(uv[0]), float(uv[1])), CAMERA, mount)
    assert point is not None
    np.testing.assert_allclose(point, (x, y, 0), atol=1e-5)


def test_placement_of_a_box() -> None:
    uv = CAMERA.uv_from_xyz_cam(MOUNT.inverse().points(np.array([[11.2, 3.0, 0.0], [11.2, 1.0, 0.0]])))
    assert uv[0, 1] == pytest.approx(uv[1, 1])  # a level lower edge: its middle is the foot
    (left, bottom), (right, _) = uv
    place = placement_from_region(
        region_with([(left, bottom), (right, bottom), (right, 60), (left, 60)]), CAMERA, MOUNT, 60
    )
    assert place is not None
    np.testing.assert_allclose(place.xyz_ego_m, (11.2, 2.0, 0), atol=1e-3)
    assert place.range_m == pytest.approx(math.hypot(11.2, 2.0), abs=1e-3)
    assert place.bearing_rad == pytest.approx(math.atan2(2.0, 11.2), abs=1e-4)  # to the left is positive


def test_no_place_above_the_horizon_or_too_far() -> None:
    def at(v: float) -> Region:
        return region_with([(190, v), (200, v), (195, v - 20)])

    horizon = 111.5 - 196 * math.tan(math.radians(3))
    assert placement_from_region(at(horizon - 1), CAMERA, MOUNT, 60) is None
    assert placement_from_region(at(horizon), CAMERA, MOUNT, 60) is None
    assert placement_from_region(at(horizon + 1), CAMERA, MOUNT, 60) is None  # about 350 m
    near = placement_from_region(at(200), CAMERA, MOUNT, 60)
    assert near is not None
    assert placement_from_region(at(200), CAMERA, MOUNT, near.range_m - 0.01) is None


def test_no_place_from_below_the_ground_or_without_a_pixel() -> None:
    below = RigidTransform(MOUNT.rotation, np.array([0.0, 0.0, -1.0]))
    assert ground_point_from_uv((195.0, 200.0), CAMERA, below) is None
    assert ground_point_from_uv((math.nan, 200.0), CAMERA, MOUNT) is None


def test_foot_without_an_outline_is_the_boxs() -> None:
    assert foot_uv_px(region_with([], (10, 20, 31, 41))) == (20, 40.5)
    assert foot_uv_px(region_with([(math.nan, 1)], (10, 20, 31, 41))) == (20, 40.5)
    assert foot_uv_px(region_with([(1, 2), (7, 9), (4, 3)])) == (7, 9)


@pytest.mark.parametrize("limit", [0, -1, math.nan])
def test_refuses_a_range_limit(limit: float) -> None:
    with pytest.raises(UsageError, match="max_range_m"):
        placement_from_region(region_with([(1, 2)]), CAMERA, MOUNT, limit)
