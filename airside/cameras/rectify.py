"""Straight lines straight again: a distorted or fisheye camera's pictures as its virtual pinhole would take them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from airside.cameras.fit import BAR_RGB
from airside.config import CameraConfig
from airside.errors import InputError, UsageError
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.distortion import DistortedCamera
from airside.messages import Frame, NetworkInput

_MOST_PIXELS = 1 << 15  # of a side: OpenCV's fixed-point maps reach no farther
_BAND_ROWS = 128  # of a map at once: a row of doubles for every column, a dozen times over


class Rectifier:
    """Makes every :class:`Frame` of one mounted camera into one of ``camera.pinhole``; a pinhole's passes untouched.

    A frame keeps its size, which may be any scaled version of the configured one. What the lens does not show (only
    where ``pinhole_fov_deg`` asks for more than it has) is filled with ``BAR_RGB`` and told by :meth:`unseen`; nothing
    may be concluded from it, so :meth:`observed` takes its patches out of a :class:`NetworkInput`.
    Maps are made at the first frame of a size and kept for that size. One thread at a time.
    """

    def __init__(self, camera: CameraConfig) -> None:
        self._camera = camera
        self._lens = camera.lens
        self._maps: _Maps | None = None

    def frame(self, frame: Frame) -> Frame:
        """The rectified frame; the same object where the camera is a pinhole.

        Raises :class:`airside.errors.MismatchError` for a shape that is not the camera's, and :class:`InputError` for
        a picture too large.
        """
        if self._lens is None:
            return frame
        image = frame.image
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise UsageError(f"wanted an image [H, W, 3] uint8, got {list(image.shape)} {image.dtype}")
        maps = self._maps_for(image.shape[0], image.shape[1])
        straight = cv2.remap(image, maps.whole, maps.fraction, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if maps.unseen is not None:
            straight[maps.unseen] = BAR_RGB
        return replace(frame, image=straight)

    def unseen(self, height: int, width: int) -> np.ndarray | None:
        """[height, width] bool, read-only: the pixels of a frame of that size that the lens does not show; ``None``
        where it shows them all. Raises as :meth:`frame`."""
        return None if self._lens is None else self._maps_for(height, width).unseen

    def observed(self, net: NetworkInput, height: int, width: int) -> NetworkInput:
        """``net``, made of a rectified frame of ``height`` x ``width``, without the patches that the lens does not show
        (half or more of their area); the same object where it shows all. Raises as :meth:`frame`."""
        unseen = self.unseen(height, width)
        if unseen is None:
            return net
        rows, columns = net.observed.shape
        v, u = np.arange(net.image.shape[0]), np.arange(net.image.shape[1])
        v = np.clip(np.rint(v * net.scale[1] + net.offset_px[1]), 0, height - 1).astype(int)
        u = np.clip(np.rint(u * net.scale[0] + net.offset_px[0]), 0, width - 1).astype(int)
        shown = ~unseen[v[:, None], u]
        share = shown.reshape(rows, len(v) // rows, columns, len(u) // columns).mean(axis=(1, 3))
        return replace(net, observed=net.observed & (share > 0.5))

    def _maps_for(self, height: int, width: int) -> _Maps:
        if self._maps is None or self._maps.size != (height, width):
            assert self._lens is not None  # the callers have looked
            if max(height, width) >= _MOST_PIXELS:
                raise InputError(
                    f"camera {self._camera.name}: a picture of {width} x {height} px cannot be rectified; "
                    f"deliver less than {_MOST_PIXELS} px on each side"
                )
            self._maps = _maps(self._camera.pinhole.scaled_to(width, height), self._lens.scaled_to(width, height))
        return self._maps


@dataclass(frozen=True, slots=True, eq=False)
class _Maps:
    """For each pixel of the straight picture its place in the taken one, as ``cv2.convertMaps`` packs it."""

    size: tuple[int, int]  # height, width
    whole: np.ndarray  # [H, W, 2] int16
    fraction: np.ndarray  # [H, W] uint16
    unseen: np.ndarray | None  # [H, W] bool


def _maps(pinhole: PinholeCamera, lens: DistortedCamera) -> _Maps:
    height, width = pinhole.height, pinhole.width
    whole = np.empty((height, width, 2), np.int16)
    fraction = np.empty((height, width), np.uint16)
    unseen = np.empty((height, width), bool)
    for top in range(0, height, _BAND_ROWS):
        rows = slice(top, min(top + _BAND_ROWS, height))
        v, u = np.mgrid[rows, 0:width]
        uv = lens.uv_from_xyz_cam(pinhole.ray_cam_from_uv(np.stack([u, v], axis=-1)))
        unseen[rows] = ~lens.in_picture(uv)
        uv[unseen[rows]] = 0.0
        place = np.ascontiguousarray(uv, np.float32)
        whole[rows], fraction[rows] = cv2.convertMaps(place[..., 0], place[..., 1], cv2.CV_16SC2)
    unseen.flags.writeable = False
    return _Maps((height, width), whole, fraction, unseen if unseen.any() else None)
