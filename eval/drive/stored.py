"""Rendered drives on disk: one file a drive, its pictures as JPEG, its truth as arrays; and one with what its narrow
camera ahead shows in the middle of its picture.

A file is found by its plan, its cameras and the simulator's source. It is written whole or not at all, so a killed
renderer loses the drive it was at and nothing else.

All cameras are photographed at the network's size. The narrow one ahead delivers :data:`FINER` times as many pixels a
side, as cameras do: its middle, where the path runs far away, is photographed once more by itself and laid over the
enlarged whole. So every pixel of the path's window is a true one, at a quarter of the cost of a true whole. Where the
weather itself is drawn on the picture (:data:`NOT_FINER`) that would be wrong, and it delivers the network's size.

JPEG at quality 95 without colour subsampling: 26 to 37 kB a picture where PNG takes 120 to 160. On 72 pictures of three
drives the patches' scores moved by 0.001 to 0.002 on average.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from airside.config import RigConfig, load_rig
from airside.errors import CorruptError
from eval.drive.plans import RIGS
from training import apron_drives, apron_paths
from training.apron.bulk import simulator_digest
from training.apron_drives import DrivePlan, DriveScene, DriveTick, drive_scene, drive_ticks
from training.rig_frames import VehiclePose, camera_views

AHEAD, FINER = "front_narrow", 2.25
NOT_FINER = ("spray",)  # the simulator's plumes are as large as the picture: the middle would have its own
_LIGHT_PX = 28

_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Thing:
    """One of the things of a drive; ``size_m`` length, width, height."""

    family: str
    unknown: bool
    size_m: tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class StoredDrive:
    """A drive of T ticks, N cameras and K things.

    ``ego`` [T, 3] float64 x, y, yaw of the vehicle in the world; ``poses`` [T, K, 3] the same of the things; ``pixels``
    [T, N, K] int32 visible; ``boxes`` [T, N, K, 4] int16 px. ``jpeg`` uint8, picture k = t * N + n from ``starts[k]``
    to ``starts[k + 1]``. ``closer``: the same drive photographed by the middle of :data:`AHEAD` alone.
    """

    plan: DrivePlan
    cameras: tuple[str, ...]
    size_px: tuple[int, int]  # height, width
    things: tuple[Thing, ...]
    ego: np.ndarray
    poses: np.ndarray
    pixels: np.ndarray
    boxes: np.ndarray
    jpeg: np.ndarray
    starts: np.ndarray
    closer: StoredDrive | None = None

    @property
    def ticks(self) -> int:
        return len(self.ego)

    def pictures(self, tick: int) -> list[np.ndarray]:
        """[H, W, 3] uint8 RGB of every camera as it delivers them; :class:`CorruptError` for one that is not a picture
        any more."""
        first = tick * len(self.cameras)
        return [self._delivered(camera, self._picture(first + k), tick) for k, camera in enumerate(self.cameras)]

    def frame_scale(self, camera: str) -> float:
        """Pixels of the camera's frame for one of its stored picture, per side."""
        return FINER if camera == AHEAD and self.closer is not None else 1.0

    def _delivered(self, camera: str, picture: np.ndarray, tick: int) -> np.ndarray:
        if self.closer is None or camera != AHEAD:
            return picture
        height, width = picture.shape[:2]
        frame = cv2.resize(picture, (round(width * FINER), round(height * FINER)), interpolation=cv2.INTER_CUBIC)
        x, y = (frame.shape[1] - width) // 2, (frame.shape[0] - height) // 2
        inside = frame[y : y + height, x : x + width]
        inside[:] = _in_the_light_of(inside, self.closer._picture(tick))
        return frame

    def _picture(self, k: int) -> np.ndarray:
        bgr = cv2.imdecode(self.jpeg[self.starts[k] : self.starts[k + 1]], cv2.IMREAD_COLOR)
        if bgr is None:
            raise CorruptError(f"drive {self.plan.name}: picture {k} cannot be decoded; delete its file and run again")
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def rig_of(plan: DrivePlan) -> RigConfig:
    return load_rig(RIGS / f"{plan.rig}.yaml")


def path_of(plan: DrivePlan, cache: Path) -> Path:
    """Where ``plan`` is or will be kept."""
    return cache / f"{plan.name}-{_key(plan, rig_of(plan))[:16]}.npz"


def is_rendered(plan: DrivePlan, cache: Path) -> bool:
    """Whether :func:`stored` has nothing to render for ``plan``."""
    return path_of(plan, cache).exists() and (_only_whole(plan) or _closer_path(plan, cache).exists())


def closer_rig(rig: RigConfig) -> RigConfig:
    """The camera that photographs the middle of what the rig's :data:`AHEAD` shows, :data:`FINER` times as large."""
    camera = rig.camera(AHEAD)
    return RigConfig((replace(camera, fx=camera.fx * FINER, fy=camera.fy * FINER),))


def _only_whole(plan: DrivePlan) -> bool:
    return plan.condition in NOT_FINER


def _closer_path(plan: DrivePlan, cache: Path) -> Path:
    return cache / f"{plan.name}-closer-{_key(plan, closer_rig(rig_of(plan)))[:16]}.npz"


def stored(plan: DrivePlan, cache: Path) -> StoredDrive:
    """The drive from the folder ``cache`` if it is there, else rendered and put there.

    Raises :class:`CorruptError` for a damaged file, and as :func:`drive_scene` and :func:`drive_ticks` do.
    """
    rig, path, closer_path = rig_of(plan), path_of(plan, cache), _closer_path(plan, cache)
    if not path.exists():
        _render(plan, rig, path)
    if _only_whole(plan):
        return read(path)
    if not closer_path.exists():
        _render(plan, closer_rig(rig), closer_path)
    return replace(read(path), closer=read(closer_path))


def _render(plan: DrivePlan, rig: RigConfig, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scene = drive_scene(plan)
    part = path.with_suffix(f".{os.getpid()}.part.npz")
    try:
        np.savez(part, **_columns(scene, drive_ticks(scene, rig), rig))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read(path: Path) -> StoredDrive:
    """The drive in the file ``path``, as its cameras photographed it."""
    try:
        with np.load(path) as columns:
            meta = json.loads(str(columns["meta"]))
            arrays = {name: columns[name] for name in ("ego", "poses", "pixels", "boxes", "jpeg", "starts")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CorruptError(f"drive {path}: cannot be read ({error}); delete it and run again") from error
    things = tuple(Thing(t["family"], t["unknown"], tuple(t["size_m"])) for t in meta["things"])
    plan = DrivePlan(**meta["plan"])
    return StoredDrive(plan, tuple(meta["cameras"]), tuple(meta["size_px"]), things, **arrays)


def _in_the_light_of(picture: np.ndarray, sharp: np.ndarray) -> np.ndarray:
    """``sharp``, which shows the same, as bright as ``picture`` all over: a lens darkens its own picture's edges."""
    cells = sharp.shape[1] // _LIGHT_PX, sharp.shape[0] // _LIGHT_PX
    there, here = (cv2.resize(np.float32(p), cells, interpolation=cv2.INTER_AREA) + 1 for p in (picture, sharp))
    light = cv2.resize(there / here, sharp.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(np.rint(sharp * light), 0, 255).astype(np.uint8)


def as_jpeg(rgb: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), _JPEG)[1].tobytes()


def _columns(scene: DriveScene, ticks: Iterator[DriveTick], rig: RigConfig) -> dict[str, Any]:
    shots, ego, poses, pixels, boxes = [], [], [], [], []
    for tick in ticks:
        shots += [np.frombuffer(as_jpeg(rgb), np.uint8) for rgb in tick.rgb]
        ego.append((tick.pose.x_m, tick.pose.y_m, tick.pose.yaw_rad))
        poses.append(tick.poses)
        pixels.append(tick.pixels)
        boxes.append(tick.boxes)
    assets = [scene.world.assets[thing.item.slot] for thing in scene.things]
    meta = {
        "plan": asdict(scene.plan),
        "cameras": [camera.name for camera in rig.cameras],
        "size_px": [rig.cameras[0].height, rig.cameras[0].width],
        "things": [
            {
                "family": asset.family,
                "unknown": asset.family == scene.plan.unknown,
                "size_m": [*map(float, asset.size_m)],
            }
            for asset in assets
        ],
    }
    return {
        "meta": json.dumps(meta),
        "ego": np.array(ego),
        "poses": np.stack(poses),
        "pixels": np.stack(pixels),
        "boxes": np.stack(boxes),
        "jpeg": np.concatenate([shot.ravel() for shot in shots]),
        "starts": np.cumsum([0, *(shot.size for shot in shots)]),
    }


def _key(plan: DrivePlan, rig: RigConfig) -> str:
    """What the pictures depend on. The rig counts by the views it gives, not by how its file is written."""
    views = camera_views(rig, VehiclePose(0.0, 0.0, 0.0))
    return hashlib.sha256(f"{_source_digest()} {plan!r} {views!r}".encode()).hexdigest()


@functools.cache
def _source_digest() -> str:
    digest = hashlib.sha256(simulator_digest().encode())
    for module in (apron_drives, apron_paths):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()
