"""The camera as one frame size and one mounting make it: worked out once, used every tick."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from airside.config import CameraConfig
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.transforms import RigidTransform
from airside.messages import NetworkInput


@dataclass(frozen=True, slots=True, eq=False)
class MountedView:
    """``frame`` describes the frame's pixels, ``network`` those of the network's picture, letterbox bars included;
    ``observed`` [Hp, Wp] bool as :class:`NetworkInput`. Ranges beyond ``max_range_m`` are not told."""

    frame: PinholeCamera
    network: PinholeCamera
    ego_from_cam: RigidTransform
    max_range_m: float
    patch_px: int
    observed: np.ndarray

    @property
    def cam_xy_m(self) -> np.ndarray:
        """[2] float64: where the camera is above the ground of the ego frame."""
        return self.ego_from_cam.translation_m[:2]

    def network_from_frame(self, uv_px: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] of the frame as pixels of the network's picture."""
        a, b = self.frame, self.network
        scale = np.array([a.fx / b.fx, a.fy / b.fy])
        return np.asarray((np.asarray(uv_px, np.float64) - (a.cx, a.cy)) / scale + (b.cx, b.cy))


def mounted_view(mount: CameraConfig, frame_shape: tuple[int, ...], net: NetworkInput) -> MountedView:
    """The view of a camera delivering frames of ``frame_shape`` (H, W, ...), brought to the network's size as ``net``.

    Raises :class:`airside.errors.MismatchError` when the frames have another shape than the mounted camera's.
    """
    frame = mount.pinhole.scaled_to(frame_shape[1], frame_shape[0])
    height, width = net.image.shape[:2]
    network = PinholeCamera(
        fx=frame.fx / net.scale[0],
        fy=frame.fy / net.scale[1],
        cx=(frame.cx - net.offset_px[0]) / net.scale[0],
        cy=(frame.cy - net.offset_px[1]) / net.scale[1],
        width=width,
        height=height,
    )
    patch_px = height // net.observed.shape[0]
    return MountedView(frame, network, mount.ego_from_cam.transform, mount.max_range_m, patch_px, net.observed)


@lru_cache(maxsize=8)
def ego_rays(view: MountedView, shape: tuple[int, int]) -> np.ndarray:
    """[Hd, Wd, 3] float64, read-only: what one metre of depth along the optical axis is in the ego frame, for every
    pixel of a map of ``shape`` over the network's picture."""
    v, u = np.indices(shape)
    step = np.array([view.network.width / shape[1], view.network.height / shape[0]])
    ray_cam = view.network.ray_cam_from_uv((np.stack([u, v], axis=-1) + 0.5) * step - 0.5)
    rays = view.ego_from_cam.directions(ray_cam / ray_cam[..., 2:])
    rays.flags.writeable = False
    return rays
