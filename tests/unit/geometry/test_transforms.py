"""Rigid transforms: what they do, and everything that is not one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airside.errors import UsageError
from airside.geometry.transforms import RigidTransform, ego_from_mounted_cam

degrees = st.floats(-180, 180)
metres = st.floats(-50, 50)


@st.composite
def transforms(draw: st.DrawFn) -> RigidTransform:
    return ego_from_mounted_cam(
        (draw(metres), draw(metres), draw(metres)),
        yaw_deg=draw(degrees),
        pitch_deg=draw(degrees),
        roll_deg=draw(degrees),
    )


@given(transforms(), transforms(), st.tuples(metres, metres, metres))
def test_inverse_and_product(a: RigidTransform, b: RigidTransform, point: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(a.inverse().points(a.points(np.array(point))), point, atol=1e-9)
    np.testing.assert_allclose((a @ b).points(np.array(point)), a.points(b.points(np.array(point))), atol=1e-9)
    np.testing.assert_allclose((a @ b).matrix, a.matrix @ b.matrix, atol=1e-9)
    np.testing.assert_allclose(RigidTransform.from_matrix(a.matrix).matrix, a.matrix, atol=0)
    difference = a.points(np.array(point)) - a.points(np.zeros(3))
    np.testing.assert_allclose(a.directions(np.array(point)), difference, atol=1e-9)


@pytest.mark.parametrize(
    ("angles", "forward", "right"),
    [
        ((0, 0, 0), (1, 0, 0), (0, -1, 0)),
        ((90, 0, 0), (0, 1, 0), (1, 0, 0)),  # looks left; its right is ahead
        ((0, 90, 0), (0, 0, -1), (0, -1, 0)),  # looks down
        ((0, 0, 90), (1, 0, 0), (0, 0, -1)),  # its right side is down
    ],
)
def test_mounting_angles(angles: tuple[int, int, int], forward: tuple[int, ...], right: tuple[int, ...]) -> None:
    mount = ego_from_mounted_cam((1.0, 2.0, 3.0), yaw_deg=angles[0], pitch_deg=angles[1], roll_deg=angles[2])
    np.testing.assert_allclose(mount.directions(np.array([0, 0, 1])), forward, atol=1e-12)
    np.testing.assert_allclose(mount.directions(np.array([1, 0, 0])), right, atol=1e-12)
    np.testing.assert_allclose(mount.points(np.zeros(3)), (1, 2, 3))


def test_many_points_at_once() -> None:
    mount = ego_from_mounted_cam((1, 2, 3), yaw_deg=30, pitch_deg=5, roll_deg=-2)
    points = np.random.default_rng(0).normal(size=(4, 5, 3))
    assert mount.points(points).shape == (4, 5, 3)
    np.testing.assert_allclose(mount.points(points)[2, 3], mount.points(points[2, 3]))


def test_its_numbers_cannot_be_changed() -> None:
    source = np.eye(3)
    transform = RigidTransform(source, np.zeros(3))
    source[0, 0] = 5
    assert transform.rotation[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        transform.rotation[0, 0] = 2


mirrored = np.diag([1.0, 1.0, -1.0])


@pytest.mark.parametrize(
    ("rotation", "translation", "message"),
    [
        (np.eye(4), np.zeros(3), r"rotation \[3, 3\], got \[4, 4\]"),
        (np.eye(2), np.zeros(3), r"rotation \[3, 3\], got \[2, 2\]"),
        (np.eye(3), np.zeros(4), r"translation \[3\], got \[4\]"),
        (np.eye(3), np.zeros((3, 1)), r"translation \[3\], got \[3, 1\]"),
        (np.eye(3) * 1.001, np.zeros(3), "not orthonormal"),
        (np.zeros((3, 3)), np.zeros(3), "not orthonormal"),
        (mirrored, np.zeros(3), "left-handed"),
        (np.full((3, 3), np.nan), np.zeros(3), "finite"),
        (np.eye(3), np.array([0, np.inf, 0]), "finite"),
    ],
)
def test_refuses(rotation: np.ndarray, translation: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RigidTransform(rotation, translation)


@pytest.mark.parametrize("shape", [(3, 3), (3, 4), (4, 3), (4,), (16,), (5, 5), (1, 4, 4)])
def test_from_matrix_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    matrix = np.eye(*shape) if len(shape) == 2 else np.zeros(shape)
    with pytest.raises(UsageError, match=r"rigid transform \[4, 4\], got"):
        RigidTransform.from_matrix(matrix)


def test_from_matrix_refuses_a_last_row_that_projects() -> None:
    matrix = np.eye(4)
    matrix[3, 0] = 0.1
    with pytest.raises(UsageError, match="last row"):
        RigidTransform.from_matrix(matrix)
