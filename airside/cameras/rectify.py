"""Straight lines straight again: a distorted or fisheye camera's pictures as its virtual pinhole would take them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from airside.cameras.fit import BAR_RGB
from airside.config import CameraConfig
from airside.errors import InputError, UsageError
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.distortion import DistortedCamera
from airside.messages import Frame, NetworkInput

_LONGEST_SIDE_PX = (1 << 15) - 1  # OpenCV's fixed-point maps reach no farther
_BAND_ROWS = 128  # of a map at once: it is worked out in doubles


class Rectifier:
    """Makes every :class:`Frame` of one mounted camera into one of ``camera.pinhole``; a pinhole's passes untouched.

    A frame may have any scaled version of the configured size. The picture made of it has the rig's
    ``pinhole_size_px`` or, where the rig names none, the frame's own size.
    What the lens does not show (only where ``pinhole_fov_deg`` asks for more than it has) is filled with ``BAR_RGB``
    and told by :meth:`unseen`. Nothing may be concluded from it: :meth:`observed` takes its patches out of a
    :class:`NetworkInput`. Maps are made at the first frame of a size and kept for that size. One thread at a time.
    ``done``: the frames were rectified before they were recorded; they pass, and what they lack is told.
    """

    def __init__(self, camera: CameraConfig, *, done: bool = False) -> None:
        self._camera, self._done = camera, done
        self._lens = camera.lens
        self._maps: _Maps | None = None

    @property
    def takes_px(self) -> tuple[int, int]:
        """Width and height, at any scale, of the frames it takes."""
        taken = self._camera.pinhole if self._done else self._camera
        return taken.width, taken.height

    def frame(self, frame: Frame) -> Frame:
        """The rectified frame; the same object where the camera is a pinhole, or the frame rectified.

        Raises :class:`airside.errors.MismatchError` for a shape that is not the camera's, and :class:`InputError` for
        a picture too large.
        """
        if self._lens is None or self._done:
            return frame
        image = frame.image
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise UsageError(f"wanted an image [H, W, 3] uint8, got {list(image.shape)} {image.dtype}")
        maps = self._maps_for(self._lens, image.shape[1], image.shape[0])
        straight = cv2.remap(image, maps.whole, maps.fraction, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if maps.unseen is not None:
            straight[maps.unseen] = BAR_RGB
        return replace(frame, image=straight)

    def unseen(self, height: int, width: int) -> np.ndarray | None:
        """[height, width] bool, read-only: the pixels of a rectified picture of that size that the lens does not show;
        ``None`` where it shows them all."""
        if self._lens is None or self._camera.pinhole_fov_deg is None:  # the default leaves none
            return None
        return _unseen(self._camera.pinhole.scaled_to(width, height), self._lens)

    def observed(self, net: NetworkInput, height: int, width: int) -> NetworkInput:
        """``net``, made of a rectified picture of ``height`` x ``width``, without the patches that the lens does not
        show (half or more of their area); the same object where it shows all."""
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

    def _maps_for(self, lens: DistortedCamera, width: int, height: int) -> _Maps:
        if self._maps is None or self._maps.taken_px != (width, height):
            if max(height, width) > _LONGEST_SIDE_PX:
                raise InputError(
                    f"camera {self._camera.name}: a picture of {width} x {height} px cannot be rectified; "
                    f"deliver at most {_LONGEST_SIDE_PX} px on each side"
                )
            out_width, out_height = self._camera.pinhole_size_px or (width, height)
            pinhole = self._camera.pinhole.scaled_to(out_width, out_height)
            whole, fraction = _maps(pinhole, lens.scaled_to(width, height))
            self._maps = _Maps((width, height), whole, fraction, self.unseen(out_height, out_width))
        return self._maps


@dataclass(frozen=True, slots=True, eq=False)
class _Maps:
    """For each pixel of the straight picture its place in the taken one, as ``cv2.convertMaps`` packs it."""

    taken_px: tuple[int, int]  # width, height
    whole: np.ndarray  # [H, W, 2] int16
    fraction: np.ndarray  # [H, W] uint16
    unseen: np.ndarray | None  # [H, W] bool


def _maps(pinhole: PinholeCamera, lens: DistortedCamera) -> tuple[np.ndarray, np.ndarray]:
    whole = np.empty((pinhole.height, pinhole.width, 2), np.int16)
    fraction = np.empty((pinhole.height, pinhole.width), np.uint16)
    for rows in _bands(pinhole.height):
        uv = _taken_uv(pinhole, lens, rows)
        place = np.where(lens.in_picture(uv)[..., None], uv, 0.0).astype(np.float32)
        u, v = np.ascontiguousarray(place[..., 0]), np.ascontiguousarray(place[..., 1])
        whole[rows], fraction[rows] = cv2.convertMaps(u, v, cv2.CV_16SC2)
    return whole, fraction


@lru_cache(maxsize=16)
def _unseen(pinhole: PinholeCamera, lens: DistortedCamera) -> np.ndarray | None:
    unseen = np.concatenate(
        [~lens.in_picture(_taken_uv(pinhole, lens, rows)) for rows in _bands(pinhole.height)], axis=0
    )
    unseen.flags.writeable = False
    return unseen if unseen.any() else None


def _bands(height: int) -> list[slice]:
    return [slice(top, min(top + _BAND_ROWS, height)) for top in range(0, height, _BAND_ROWS)]


def _taken_uv(pinhole: PinholeCamera, lens: DistortedCamera, rows: slice) -> np.ndarray:
    """[rows, W, 2] float64: where the lens's picture has the pixels of some rows of the pinhole's."""
    v, u = np.mgrid[rows, 0 : pinhole.width]
    return lens.uv_from_xyz_cam(pinhole.ray_cam_from_uv(np.stack([u, v], axis=-1)))
