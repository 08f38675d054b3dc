"""Distorted lenses: there and back, and NaN, never a wrong pixel, beyond the end of the lens."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airside.errors import UsageError
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.distortion import COEFFICIENT_COUNTS, DistortedCamera
from airside.geometry.virtual_pinhole import seen_by_lens, virtual_pinhole

K = PinholeCamera(600.0, 610.0, 641.0, 357.0, 1280, 720)
FISHEYE = DistortedCamera(PinholeCamera(381.5, 381.5, 641.2, 477.8, 1280, 960), "equidistant", (0.02, -0.008, 0.003, 0))
BARREL = DistortedCamera(K, "plumb_bob", (-0.3, 0.08, 0.001, -0.0005, 0.0))

unit = st.floats(-1, 1)


@st.composite
def lenses(draw: st.DrawFn) -> DistortedCamera:
    model = draw(st.sampled_from(list(COEFFICIENT_COUNTS)))
    size = draw(st.sampled_from([1e-3, 0.05, 0.5]))
    count = draw(st.sampled_from(COEFFICIENT_COUNTS[model]))
    values = [size * draw(unit) for _ in range(count)]
    if model != "equidistant":
        values[2:4] = [0.02 * value for value in values[2:4]]
    return DistortedCamera(K, model, tuple(values))


def rays(seed: int, widest_rad: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    angle, around = rng.uniform(0, widest_rad, 300), rng.uniform(0, 2 * np.pi, 300)
    return np.stack([np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around), np.cos(angle)], axis=-1)


@given(lenses(), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_a_ray_comes_back_through_its_pixel(lens: DistortedCamera, seed: int) -> None:
    ray = rays(seed, lens.limit_rad * 0.97)
    back = lens.ray_cam_from_uv(lens.uv_from_xyz_cam(ray))
    found = np.isfinite(back).all(axis=1)
    assert found.mean() > 0.99
    np.testing.assert_allclose(back[found], ray[found], atol=1e-6)


@given(lenses(), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_beyond_the_lens_is_nan_and_no_pixel_is_told_twice(lens: DistortedCamera, seed: int) -> None:
    beyond = rays(seed, math.pi)
    beyond = beyond[np.arccos(np.clip(beyond[:, 2], -1, 1)) > lens.limit_rad + 1e-6]
    assert np.isnan(lens.uv_from_xyz_cam(beyond)).all()
    uv = np.random.default_rng(seed).uniform(-500, 2000, (300, 2))
    ray = lens.ray_cam_from_uv(uv)
    told = np.isfinite(ray).all(axis=1)
    assert (np.arccos(np.clip(ray[told, 2], -1, 1)) <= lens.limit_rad + 1e-6).all()
    again = lens.uv_from_xyz_cam(ray[told])
    same = np.isfinite(again).all(axis=1)  # a ray at the very end of the lens may fall off it
    np.testing.assert_allclose(again[same], uv[told][same], atol=1e-3)


def test_a_barrel_ends_where_it_turns_back() -> None:
    lens = DistortedCamera(K, "plumb_bob", (-0.3, 0.0, 0.0, 0.0))
    turn = math.sqrt(1 / 0.9)  # r (1 - 0.3 r^2) has its top at 1 - 0.9 r^2 = 0
    assert math.tan(lens.limit_rad) == pytest.approx(turn, rel=1e-6)
    inside, outside = lens.uv_from_xyz_cam(np.array([[turn * 0.999, 0, 1], [turn * 1.001, 0, 1]]))
    assert np.isfinite(inside).all()
    assert np.isnan(outside).all()
    top = 641 + 600 * turn * (1 - 0.3 * turn**2)
    assert np.isfinite(lens.ray_cam_from_uv(np.array([top - 0.5, 357.0]))).all()
    assert np.isnan(lens.ray_cam_from_uv(np.array([top + 0.5, 357.0]))).all()


def test_a_rational_lens_ends_before_its_pole() -> None:
    lens = DistortedCamera(K, "rational", (0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0))  # 1 / (1 - r^2)
    assert math.tan(lens.limit_rad) == pytest.approx(1.0, rel=1e-6)
    assert np.isnan(lens.uv_from_xyz_cam(np.array([1.2, 0, 1]))).all()


def test_a_fisheye_sees_behind_itself_and_nothing_at_its_own_centre() -> None:
    plain = DistortedCamera(K, "equidistant", (0.0, 0.0, 0.0, 0.0))
    angle = math.radians(95)
    uv = plain.uv_from_xyz_cam(np.array([math.sin(angle), 0, math.cos(angle)]))
    np.testing.assert_allclose(uv, (641 + 600 * angle, 357))
    assert plain.ray_cam_from_uv(uv)[2] < 0
    assert np.isnan(plain.uv_from_xyz_cam(np.zeros(3))).all()
    assert np.isnan(plain.uv_from_xyz_cam(np.array([0, 0, -5.0]))).all()
    assert np.isnan(plain.uv_from_xyz_cam(np.array([np.nan, 0, 5.0]))).all()
    assert np.isnan(plain.ray_cam_from_uv(np.array([np.nan, 0.0]))).all()
    np.testing.assert_allclose(plain.uv_from_xyz_cam(np.array([0, 0, 5.0])), (641, 357))


@pytest.mark.parametrize("lens", [FISHEYE, BARREL])
def test_the_default_pinhole_is_the_widest_without_holes(lens: DistortedCamera) -> None:
    pinhole = virtual_pinhole(lens, (784, 448))
    v, u = np.mgrid[0:448, 0:784]
    assert seen_by_lens(pinhole, lens, np.stack([u, v], axis=-1)).all()
    fov = math.degrees(2 * math.atan(392 / pinhole.fx))
    assert fov <= 110 + 1e-9
    if fov < 110 - 1e-6:
        wider = virtual_pinhole(lens, (784, 448), fov + 1)
        assert not seen_by_lens(wider, lens, np.stack([u, v], axis=-1)).all()


@pytest.mark.parametrize(
    ("model", "coefficients", "message"),
    [
        ("thin_prism", (0.0,) * 12, "distortion model 'thin_prism' is not known; known: plumb_bob"),
        ("plumb_bob", (0.0,) * 3, "plumb_bob takes 4 or 5, got 3"),
        ("rational", (0.0,) * 5, "rational takes 8, got 5"),
        ("equidistant", (0.0,) * 5, "equidistant takes 4, got 5"),
        ("equidistant", (0.0, 0.0, math.nan, 0.0), "finite"),
        ("plumb_bob", (1e300, 0.0, 0.0, 0.0), "finite numbers up to"),
        ("plumb_bob", (-1e5, 0.0, 0.0, 0.0), "folds back"),
        ("plumb_bob", (0.0, 0.0, 1e4, 0.0), "folds back"),
    ],
)
def test_refusals(model: str, coefficients: tuple[float, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DistortedCamera(K, model, coefficients)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(UsageError, match="wanted pixels"):
        BARREL.ray_cam_from_uv(np.zeros((4, 3)))
    with pytest.raises(UsageError, match="wanted points"):
        FISHEYE.uv_from_xyz_cam(np.zeros((4, 2)))
