"""The window that holds the path far away: what it must hold, its shape, and when there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airside.geometry.camera_model import PinholeCamera
from airside.geometry.path import WINDOW_HEIGHT_M, path_window
from airside.geometry.transforms import ego_from_mounted_cam

NETWORK = (392, 224)


def lens(width: int, fov_deg: float = 35.0) -> PinholeCamera:
    height = round(width * 4 / 7)
    focal_px = width / 2 / np.tan(np.radians(fov_deg) / 2)
    return PinholeCamera(focal_px, focal_px, (width - 1) / 2, (height - 1) / 2, width, height)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(500, 4000), st.floats(25.0, 100.0), st.floats(-4.0, 12.0), st.floats(-8.0, 8.0), st.floats(0.8, 3.0),
    st.floats(8.0, 30.0),
)  # fmt: skip
def test_it_holds_the_path_and_what_stands_there(
    width: int, fov_deg: float, pitch_deg: float, yaw_deg: float, height_m: float, from_m: float
) -> None:
    camera = lens(width, fov_deg)
    pose = ego_from_mounted_cam((1.2, 0.3, height_m), yaw_deg=yaw_deg, pitch_deg=pitch_deg, roll_deg=0.0)
    found = path_window(camera, pose, NETWORK, 2.0, from_m, 41.0)
    rng = np.random.default_rng(0)
    points = np.column_stack(
        [rng.uniform(from_m, 41.0, 200), rng.uniform(-2.0, 2.0, 200), rng.uniform(0.0, WINDOW_HEIGHT_M, 200)]
    )
    uv = camera.uv_from_xyz_cam(pose.inverse().points(points))
    if found is None:
        return
    x, y, across, down = found
    assert min(x, y) >= 0
    assert x + across <= camera.width
    assert y + down <= camera.height
    assert across >= NETWORK[0]
    assert down >= NETWORK[1]
    assert across / down == pytest.approx(NETWORK[0] / NETWORK[1], rel=0.01)
    assert camera.width / across > 2  # it is worth a pass
    inside = (uv >= (x - 0.5, y - 0.5)) & (uv <= (x + across - 0.5, y + down - 0.5))
    assert inside.all()


def test_it_lies_no_further_from_the_middle_than_need_be() -> None:
    level = ego_from_mounted_cam((1.2, 0.0, 1.9), yaw_deg=0.0, pitch_deg=1.5, roll_deg=0.0)
    assert path_window(lens(882), level, NETWORK, 2.0, 21.0, 41.0) == (245, 140, 392, 224)
    down = ego_from_mounted_cam((1.2, 0.0, 1.9), yaw_deg=0.0, pitch_deg=6.0, roll_deg=0.0)
    found = path_window(lens(882), down, NETWORK, 2.0, 21.0, 41.0)
    assert found is not None
    assert (found[0], found[2:]) == (245, (392, 224))
    assert found[1] < 140  # the path is above the middle then


@pytest.mark.parametrize(
    ("width", "yaw_deg", "from_m"),
    [
        (392, 0.0, 21.0),  # the frame has no more to show than the network's picture
        (784, 0.0, 21.0),  # no more than twice as much
        (1920, 0.0, 41.0),  # a slow zone's path ends before it gets far
        (1920, 20.0, 21.0),  # the camera does not hold the path
        (1920, 180.0, 21.0),  # nor looks ahead
        (1920, 0.0, 3.0),  # the near path would fill all of it
    ],
)
def test_where_there_is_none(width: int, yaw_deg: float, from_m: float) -> None:
    pose = ego_from_mounted_cam((1.2, 0.0, 1.9), yaw_deg=yaw_deg, pitch_deg=1.5, roll_deg=0.0)
    assert path_window(lens(width), pose, NETWORK, 2.0, from_m, 41.0) is None
