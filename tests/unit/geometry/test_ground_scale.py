"""Metric scale from the ground: comes back on synthetic ground, survives what is none, and knows when it cannot."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airside.errors import InputError, UsageError
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.ground import ground_point_from_uv
from airside.geometry.ground_scale import MIN_GROUND_PIXELS, RelativeKind, fit_ground_scale, plane_depth_m
from airside.geometry.transforms import RigidTransform, ego_from_mounted_cam

CAMERA = PinholeCamera(fx=49.0, fy=49.0, cx=48.5, cy=27.5, width=98, height=56)
MOUNT = ego_from_mounted_cam((1.2, 0.0, 1.8), yaw_deg=0, pitch_deg=8, roll_deg=2)
PLANE_M = plane_depth_m(CAMERA, MOUNT)
GROUND = np.isfinite(PLANE_M)
DEPTH, INVERSE = RelativeKind.DEPTH, RelativeKind.INVERSE_DEPTH


def scene_m() -> np.ndarray:
    """Ground, a wall above the horizon, and a box standing on the ground."""
    scene = np.where(GROUND, PLANE_M, 60.0)
    scene[20:40, 30:55] = np.minimum(scene[20:40, 30:55], 5.0)
    return scene


def relative_of(scene: np.ndarray, kind: RelativeKind, scale: float, shift: float) -> np.ndarray:
    """The map of which ``1 / depth = scale * r + shift``, r the map or 1 over it."""
    r = (1 / scene - shift) / scale
    return r if kind is INVERSE else 1 / r


def test_plane_depth_is_the_ground_points_depth() -> None:
    cam_from_ego = MOUNT.inverse()
    for row, column in ((55, 0), (40, 97), (30, 50), (2, 3)):
        point = ground_point_from_uv((column, row), CAMERA, MOUNT)
        if point is None:
            assert math.isnan(PLANE_M[row, column])
        else:
            assert PLANE_M[row, column] == pytest.approx(cam_from_ego.points(np.array(point))[2], rel=1e-9)
    assert 0 < np.isnan(PLANE_M).mean() < 1


@settings(max_examples=25, deadline=None)
@given(
    scale=st.floats(1e-3, 1e3),
    shift=st.floats(-0.2, 0.2),
    pitch=st.floats(4, 20),
    roll=st.floats(-4, 4),
    height=st.floats(0.8, 4),
)
def test_inverse_depth_comes_back(scale: float, shift: float, pitch: float, roll: float, height: float) -> None:
    mount = ego_from_mounted_cam((1.0, 0.4, height), yaw_deg=20, pitch_deg=pitch, roll_deg=roll)
    plane_m = plane_depth_m(CAMERA, mount)
    ground = np.isfinite(plane_m)
    relative = relative_of(np.where(ground, plane_m, 60.0), INVERSE, scale, shift)
    fit = fit_ground_scale(relative, ground, CAMERA, mount, kind=INVERSE, max_depth_m=40)
    assert fit.scale == pytest.approx(scale, rel=1e-6)
    assert fit.shift_per_m == pytest.approx(shift, abs=1e-7)
    assert fit.inlier_share == 1
    np.testing.assert_allclose(fit.depth_m(relative)[ground & (plane_m < 40)], plane_m[ground & (plane_m < 40)], 1e-5)


@given(st.floats(1e-2, 1e2))
def test_depth_comes_back(scale: float) -> None:
    fit = fit_ground_scale(scene_m() * scale, GROUND, CAMERA, MOUNT, kind=DEPTH, max_depth_m=40)
    assert fit.scale == pytest.approx(scale, rel=1e-6)
    assert fit.shift_per_m == 0
    np.testing.assert_allclose(fit.depth_m(scene_m() * scale), scene_m(), rtol=1e-5)


@pytest.mark.parametrize("kind", [DEPTH, INVERSE])
def test_something_else_under_the_mask_does_not_move_it(kind: RelativeKind) -> None:
    shift = 0.05 if kind is INVERSE else 0.0
    scene = scene_m()
    scene[45:, :50] *= 0.6  # something low and wide that the mask takes for ground
    relative = relative_of(scene, kind, 0.7, shift)
    fit = fit_ground_scale(relative, GROUND, CAMERA, MOUNT, kind=kind, max_depth_m=40)
    used = GROUND & (PLANE_M <= 40)
    assert fit.ground_pixels == used.sum()
    assert fit.inlier_share == pytest.approx((np.abs(scene / PLANE_M - 1)[used] < 0.05).mean(), abs=0.02)
    assert fit.inlier_share < 0.8
    assert fit.scale == pytest.approx(0.7, rel=1e-6)
    np.testing.assert_allclose(fit.depth_m(relative), scene, rtol=1e-4)


@pytest.mark.parametrize("kind", [DEPTH, INVERSE])
def test_noise_is_averaged_and_reported(kind: RelativeKind) -> None:
    noisy = scene_m() * np.random.default_rng(0).lognormal(0, 0.03, PLANE_M.shape)
    fit = fit_ground_scale(relative_of(noisy, kind, 3.0, 0.0), GROUND, CAMERA, MOUNT, kind=kind, max_depth_m=25)
    assert fit.scale == pytest.approx(3.0, rel=0.01)
    assert fit.relative_error == pytest.approx(0.03 * 0.6745, rel=0.2)  # the median of normal noise


def test_a_wrong_height_scales_the_depth_alike() -> None:
    higher = RigidTransform(MOUNT.rotation, MOUNT.translation_m * [1, 1, 1.5])
    relative = relative_of(scene_m(), INVERSE, 2.0, 0.1)
    fit = fit_ground_scale(relative, GROUND, CAMERA, higher, kind=INVERSE, max_depth_m=40)
    np.testing.assert_allclose(fit.depth_m(relative), scene_m() * 1.5, rtol=1e-3)


def test_what_has_no_depth() -> None:
    fit = fit_ground_scale(1 / scene_m() + 0.1, GROUND, CAMERA, MOUNT, kind=INVERSE, max_depth_m=40)
    out = fit.depth_m(np.array([np.nan, np.inf, 0.0, 0.05, 0.35]))
    assert out.dtype == np.float32
    assert np.isnan(out[:2]).all()
    assert np.isposinf(out[2:4]).all()  # beyond infinity: the sky
    assert out[4] == pytest.approx(4.0, rel=1e-4)
    fit = fit_ground_scale(2 * scene_m(), GROUND, CAMERA, MOUNT, kind=DEPTH, max_depth_m=40)
    out = fit.depth_m(np.array([np.nan, np.inf, 0.0, -1.0, 8.0]))
    assert np.isnan(out[:4]).all()
    assert out[4] == pytest.approx(4.0, rel=1e-4)


@pytest.mark.parametrize("kind", [DEPTH, INVERSE])
def test_unusable_ground_pixels_are_left_out(kind: RelativeKind) -> None:
    relative = relative_of(scene_m(), kind, 2.0, 0.0)
    relative[50, :] = np.nan
    relative[51, :] = np.inf
    fit = fit_ground_scale(relative, GROUND, CAMERA, MOUNT, kind=kind, max_depth_m=40)
    assert fit.ground_pixels == (GROUND & (PLANE_M <= 40)).sum() - 2 * CAMERA.width
    assert fit.scale == pytest.approx(2.0, rel=1e-6)


def few_pixels(count: int) -> np.ndarray:
    mask = np.zeros(GROUND.shape, bool)
    rows, columns = np.nonzero(GROUND & (PLANE_M <= 40))
    chosen = np.linspace(0, len(rows) - 1, count).astype(int)
    mask[rows[chosen], columns[chosen]] = True
    return mask


def one_row() -> np.ndarray:
    mask = np.zeros(GROUND.shape, bool)
    mask[50:53] = True
    return mask


@pytest.mark.parametrize(
    ("relative", "ground", "kind", "message"),
    [
        (1 / scene_m(), np.zeros(GROUND.shape, bool), INVERSE, "0 usable ground pixels within 40 m"),
        (1 / scene_m(), ~GROUND, INVERSE, "0 usable ground pixels"),
        (1 / scene_m(), few_pixels(MIN_GROUND_PIXELS - 1), INVERSE, "99 usable ground pixels"),
        (np.full(GROUND.shape, np.nan), GROUND, INVERSE, "0 usable ground pixels"),
        (np.zeros(GROUND.shape), GROUND, DEPTH, "0 usable ground pixels"),
        (1 / scene_m(), one_row(), INVERSE, "too short to fit a scale"),
        (np.ones(GROUND.shape), GROUND, INVERSE, "does not vary"),
        (scene_m(), GROUND, INVERSE, "runs the wrong way"),
        (np.random.default_rng(0).uniform(1, 2, GROUND.shape), GROUND, INVERSE, "of one plane"),
        (1 / scene_m(), GROUND, DEPTH, "of one plane"),
        (np.ones(GROUND.shape), GROUND, DEPTH, "of one plane"),
    ],
)
def test_refuses_a_picture_that_cannot_give_it(
    relative: np.ndarray, ground: np.ndarray, kind: RelativeKind, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        fit_ground_scale(relative, ground, CAMERA, MOUNT, kind=kind, max_depth_m=40)


def test_just_enough_pixels() -> None:
    fit = fit_ground_scale(1 / PLANE_M, few_pixels(MIN_GROUND_PIXELS), CAMERA, MOUNT, kind=INVERSE, max_depth_m=40)
    assert fit.ground_pixels == MIN_GROUND_PIXELS


@pytest.mark.parametrize(
    ("relative", "ground", "limit", "message"),
    [
        (np.ones((56, 97)), GROUND, 40, r"mask \[56, 98\]"),
        (np.ones((56, 98)), GROUND[:, :50], 40, r"mask \[56, 98\]"),
        (np.ones((56, 98)), GROUND.astype(np.uint8), 40, "uint8"),
        (np.ones((56, 98)), GROUND, 0, "max_depth_m"),
        (np.ones((56, 98)), GROUND, math.nan, "max_depth_m"),
        (np.ones((56, 98)), GROUND, math.inf, "max_depth_m"),
    ],
)
def test_refuses_the_call(relative: np.ndarray, ground: np.ndarray, limit: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fit_ground_scale(relative, ground, CAMERA, MOUNT, kind=INVERSE, max_depth_m=limit)


@pytest.mark.parametrize("height", [0.0, -1.0])
def test_refuses_a_camera_in_the_ground(height: float) -> None:
    with pytest.raises(UsageError, match="above the ground"):
        plane_depth_m(CAMERA, RigidTransform(MOUNT.rotation, np.array([0, 0, height])))
