"""What a rig sees: of each camera how finely and from where on, of all together which ground and which bearings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from airside.cameras.fit import fit_to_network
from airside.config import CameraConfig, RigConfig
from airside.fusion.mounted import MountedView, mounted_view
from airside.geometry.virtual_pinhole import seen_by_lens

OBJECT_M, OBJECT_RANGE_M = 2.0, 27.0  # the object that stopping from 25 km/h is about, and how far away
BEARINGS_DEG = np.arange(-179.5, 180.0, 1.0)  # positive to the left
RADII_M = np.arange(0.5, 100.25, 0.5)
_UNSEEN_STEPS = 64  # of the grid on which the share that a lens does not show is counted


@dataclass(frozen=True, slots=True)
class NetworkSize:
    height_px: int
    width_px: int
    patch_px: int


@dataclass(frozen=True, slots=True, eq=False)
class CameraView:
    """One camera at the network's size. ``heading_deg`` positive left, ``tilt_deg`` positive down, both of the optical
    axis; ``deg_per_patch`` in the middle of the picture; ``horizon``: where it lies from the picture's top (0) to its
    bottom (1) in the middle column, outside these where it is not in it, ``None`` where the camera looks straight up
    or down; ``ground_from_m``: the nearest ground it sees, measured from under the camera, ``None``: it sees none."""

    name: str
    config: CameraConfig
    mounted: MountedView
    heading_deg: float
    tilt_deg: float
    fov_deg: tuple[float, float]
    deg_per_patch: float
    mean_deg_per_patch: float
    horizon: float | None
    ground_from_m: float | None
    ground_to_m: float
    unseen_share: float

    @property
    def max_range_m(self) -> float:
        return self.config.max_range_m

    @property
    def patches_at_27_m(self) -> float:
        """How many patches wide an object of 2 m is, 27 m before the camera."""
        return self.patches_across(OBJECT_M, OBJECT_RANGE_M)

    @property
    def lens(self) -> str:
        """The lens in words."""
        lens = self.config.lens
        return self.config.model if lens is None else f"{lens.model}, ends {math.degrees(lens.limit_rad):.0f}° off axis"

    def patches_across(self, size_m: float, depth_m: float) -> float:
        """Patches that ``size_m`` at the depth ``depth_m`` is wide."""
        return size_m / depth_m * self.mounted.network.fx / self.mounted.patch_px

    def range_with_patches_m(self, size_m: float, patches: float) -> float:
        """The depth at which ``size_m`` is ``patches`` wide."""
        return size_m / patches * self.mounted.network.fx / self.mounted.patch_px

    def sees(self, xyz_ego_m: np.ndarray) -> np.ndarray:
        """[...] bool: whether the points [..., 3] are in its picture, up to ``max_range_m`` along the ground."""
        pinhole, mount = self.config.pinhole, self.mounted.ego_from_cam
        uv = pinhole.uv_from_xyz_cam(mount.inverse().points(xyz_ego_m))
        seen = pinhole.in_picture(uv)
        lens = self.config.lens
        if lens is not None and self.unseen_share > 0:
            seen[seen] = seen_by_lens(pinhole, lens, uv[seen])
        away = xyz_ego_m[..., :2] - mount.translation_m[:2]
        return np.asarray(seen & (np.hypot(away[..., 0], away[..., 1]) <= self.max_range_m))


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """``seen`` [N, bearings, radii] bool: the ground points of :data:`BEARINGS_DEG` x :data:`RADII_M` around the ego
    origin that each camera sees."""

    views: tuple[CameraView, ...]
    size: NetworkSize
    seen: np.ndarray

    def blind_bearings(self, range_m: float) -> list[tuple[float, float]]:
        """Arcs (from, to) in degrees, to the left of from, whose ground at ``range_m`` no camera sees."""
        return arcs(np.asarray(~self.seen[:, :, _radius(range_m)].any(axis=0)))

    def shared(self, range_m: float) -> float:
        """The share of all bearings whose ground at ``range_m`` two cameras or more see."""
        return float((self.seen[:, :, _radius(range_m)].sum(axis=0) >= 2).mean())

    @property
    def first_seen_m(self) -> np.ndarray:
        """[bearings] the nearest radius whose ground a camera sees, infinite where none does."""
        anyone = np.asarray(self.seen.any(axis=0))
        return np.where(anyone.any(axis=1), RADII_M[anyone.argmax(axis=1)], np.inf)


def coverage_of(rig: RigConfig, size: NetworkSize) -> Coverage:
    """Everything that can be said before a picture is taken, for pictures brought to ``size``."""
    views = tuple(_view(camera, size) for camera in rig.cameras)
    bearing = np.radians(BEARINGS_DEG)[:, None]
    ground = np.stack(np.broadcast_arrays(RADII_M * np.cos(bearing), RADII_M * np.sin(bearing), 0.0), axis=-1)
    return Coverage(views, size, np.stack([view.sees(ground) for view in views]))


def arcs(flags: np.ndarray) -> list[tuple[float, float]]:
    """Runs of true flags [360], one a degree from -180 on, as (from, to) in degrees; across 180 they are joined."""
    if flags.all():
        return [(-180.0, 180.0)]
    if not flags.any():
        return []
    turned = int(np.argmin(flags))  # begin where nothing runs
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.roll(flags, -turned).astype(int), [0]])))
    wrapped = (edges + turned) % 360 - 180.0
    return [(float(start), float(end)) for start, end in wrapped.reshape(-1, 2)]


def _radius(range_m: float) -> int:
    return int(np.argmin(np.abs(RADII_M - range_m)))


def _view(camera: CameraConfig, size: NetworkSize) -> CameraView:
    pinhole = camera.pinhole
    shape = (pinhole.height, pinhole.width, 3)
    net = fit_to_network(np.broadcast_to(np.uint8(0), shape), size.height_px, size.width_px, size.patch_px)
    mounted = mounted_view(camera, shape, net)
    ahead = mounted.ego_from_cam.rotation[:, 2]
    half = math.atan((pinhole.cx + 0.5) / pinhole.fx), math.atan((pinhole.width - 0.5 - pinhole.cx) / pinhole.fx)
    tall = math.atan((pinhole.cy + 0.5) / pinhole.fy), math.atan((pinhole.height - 0.5 - pinhole.cy) / pinhole.fy)
    fov = math.degrees(sum(half)), math.degrees(sum(tall))
    focal_patches = mounted.network.fx / size.patch_px
    columns = pinhole.width / net.scale[0] / size.patch_px
    near, far = _ground(camera)
    return CameraView(
        name=camera.name,
        config=camera,
        mounted=mounted,
        heading_deg=math.degrees(math.atan2(ahead[1], ahead[0])),
        tilt_deg=math.degrees(math.asin(min(max(-float(ahead[2]), -1.0), 1.0))),
        fov_deg=fov,
        deg_per_patch=math.degrees(2 * math.atan(0.5 / focal_patches)),
        mean_deg_per_patch=fov[0] / columns,
        horizon=_horizon(camera),
        ground_from_m=near,
        ground_to_m=far,
        unseen_share=_unseen_share(camera),
    )


def _horizon(camera: CameraConfig) -> float | None:
    """Where the level plane through the camera crosses the middle column: up in its frame, dotted with a ray, is 0."""
    up = camera.ego_from_cam.transform.rotation[2]
    if abs(up[1]) < 1e-6:
        return None
    pinhole = camera.pinhole
    x = ((pinhole.width - 1) / 2 - pinhole.cx) / pinhole.fx
    v = pinhole.cy - pinhole.fy * (up[0] * x + up[2]) / up[1]
    return float((v + 0.5) / pinhole.height)


def _ground(camera: CameraConfig) -> tuple[float | None, float]:
    """The nearest and farthest ground in the picture, in metres from under the camera, up to its ``max_range_m``."""
    pinhole, mount = camera.pinhole, camera.ego_from_cam.transform
    u, v = np.linspace(0, pinhole.width - 1, 33), np.linspace(0, pinhole.height - 1, 129)
    uv = np.stack(np.meshgrid(u, v), axis=-1)
    down = -mount.directions(pinhole.ray_cam_from_uv(uv))
    height_m = float(mount.translation_m[2])
    falls = down[..., 2] > 1e-9
    level = np.hypot(down[..., 0], down[..., 1])
    away = np.where(falls, level * height_m / np.where(falls, down[..., 2], 1.0), np.inf)
    if camera.lens is not None:
        away[~seen_by_lens(pinhole, camera.lens, uv)] = np.inf
    near = float(away.min())
    if near > camera.max_range_m:
        return None, 0.0
    return near, min(float(away.max()), camera.max_range_m)


def _unseen_share(camera: CameraConfig) -> float:
    if camera.lens is None:
        return 0.0
    u = (np.arange(_UNSEEN_STEPS) + 0.5) / _UNSEEN_STEPS
    pinhole = camera.pinhole
    grid = np.stack(np.meshgrid(u * pinhole.width - 0.5, u * pinhole.height - 0.5), axis=-1)
    return float((~seen_by_lens(pinhole, camera.lens, grid)).mean())
