"""Rectified pictures are those of the virtual pinhole, at any scale, and what the lens lacks is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airside.cameras.fit import BAR_RGB, fit_to_network
from airside.cameras.rectify import Rectifier
from airside.config import CameraConfig, MountConfig
from airside.errors import MismatchError
from airside.fusion.mounted import mounted_view
from airside.messages import Frame

MOUNT = MountConfig((1.0, 0.0, 1.8))
PINHOLE = CameraConfig("front", 640, 480, 300.0, 300.0, 319.5, 239.5, MOUNT, 60.0)
FISHEYE = replace(PINHOLE, fx=190.0, fy=190.0, model="equidistant", coefficients=(0.02, -0.008, 0.003, 0.0))
BARREL = replace(PINHOLE, model="plumb_bob", coefficients=(-0.25, 0.05, 0.001, -0.001))


def photographed(camera: CameraConfig, width: int, height: int) -> Frame:
    """A picture of a far world whose red and green are smooth functions of the direction."""
    lens = camera.lens
    assert lens is not None
    v, u = np.mgrid[0:height, 0:width]
    ray = lens.scaled_to(width, height).ray_cam_from_uv(np.stack([u, v], axis=-1))
    return Frame("front", painted(ray), 17, 4)


def painted(ray: np.ndarray) -> np.ndarray:
    ray = np.nan_to_num(ray)
    return np.stack([128 + 120 * ray[..., 0], 128 + 120 * ray[..., 1], np.full(ray.shape[:-1], 40.0)], -1).astype(
        np.uint8
    )


@pytest.mark.parametrize("camera", [FISHEYE, BARREL, replace(FISHEYE, pinhole_size_px=(392, 224))])
@pytest.mark.parametrize(("width", "height"), [(640, 480), (320, 240), (960, 720)])
def test_the_picture_is_the_pinholes(camera: CameraConfig, width: int, height: int) -> None:
    frame = photographed(camera, width, height)
    straight = Rectifier(camera).frame(frame)
    assert (straight.camera, straight.capture_ns, straight.index) == ("front", 17, 4)
    size = camera.pinhole_size_px or (width, height)
    assert straight.image.shape == (size[1], size[0], 3)
    pinhole = camera.pinhole.scaled_to(*size)
    v, u = np.mgrid[0 : size[1], 0 : size[0]]
    wanted = painted(pinhole.ray_cam_from_uv(np.stack([u, v], axis=-1)))
    assert np.abs(straight.image.astype(int) - wanted).max() <= 3


def test_a_pinholes_frames_pass_untouched() -> None:
    frame = Frame("front", np.zeros((480, 640, 3), np.uint8), 0, 0)
    rectifier = Rectifier(PINHOLE)
    assert rectifier.frame(frame) is frame
    assert rectifier.unseen(480, 640) is None
    net = fit_to_network(frame.image, 224, 392, 14)
    assert rectifier.observed(net, 480, 640) is net


def test_another_shape_is_another_camera() -> None:
    with pytest.raises(MismatchError, match="640 x 480"):
        Rectifier(FISHEYE).frame(Frame("front", np.zeros((360, 640, 3), np.uint8), 0, 0))


def test_by_default_the_lens_shows_everything() -> None:
    for camera in (FISHEYE, BARREL):
        frame = Frame("front", np.full((480, 640, 3), 255, np.uint8), 0, 0)
        rectifier = Rectifier(camera)
        assert (rectifier.frame(frame).image == 255).all()
        assert rectifier.unseen(480, 640) is None


def test_what_the_lens_lacks_is_filled_told_and_not_observed() -> None:
    camera = replace(BARREL, pinhole_fov_deg=130.0, pinhole_size_px=(784, 448))
    rectifier = Rectifier(camera)
    straight = rectifier.frame(Frame("front", np.full((480, 640, 3), 255, np.uint8), 0, 0)).image
    unseen = rectifier.unseen(448, 784)
    assert unseen is not None
    assert 0.2 < unseen.mean() < 0.9
    assert not unseen[224, 392]
    assert (straight[unseen] == BAR_RGB).all()
    assert (straight[~unseen] == 255).all()
    net = rectifier.observed(fit_to_network(straight, 224, 392, 14), 448, 784)
    share = (~unseen).reshape(16, 28, 28, 28).mean(axis=(1, 3))
    np.testing.assert_array_equal(net.observed[np.abs(share - 0.5) > 0.05], (share > 0.5)[np.abs(share - 0.5) > 0.05])
    assert 0 < net.observed.sum() < net.observed.size


def test_bars_stay_unobserved_beside_what_the_lens_lacks() -> None:
    camera = replace(BARREL, pinhole_fov_deg=130.0)
    rectifier = Rectifier(camera)
    straight = rectifier.frame(Frame("front", np.zeros((480, 640, 3), np.uint8), 0, 0)).image
    net = fit_to_network(straight, 224, 392, 14)
    seen = rectifier.observed(net, 480, 640)
    assert not (seen.observed & ~net.observed).any()
    assert seen.observed.sum() < net.observed.sum()
    assert mounted_view(camera, straight.shape, seen).network.width == 392
