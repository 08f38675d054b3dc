"""Rendered drives on disk: one file a drive, its pictures as JPEG, its truth as arrays.

A file is found by its plan, its cameras and the simulator's source. It is written whole or not at all, so a killed
renderer loses the drive it was at and nothing else.

The narrow camera ahead delivers :data:`FINER` times the network's pixels a side, as cameras do; the others the
network's size, which is all that it takes of them.

JPEG at quality 95 without colour subsampling: 26 to 37 kB a picture of the network's size where PNG takes 120 to 160.
On 72 pictures of three drives the patches' scores moved by 0.001 to 0.002 on average.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from airside.config import CameraConfig, RigConfig, load_rig
from airside.errors import CorruptError
from eval.drive.plans import RIGS
from training import apron_drives, apron_paths
from training.apron.bulk import simulator_digest
from training.apron_drives import DrivePlan, DriveScene, drive_scene, drive_ticks
from training.rig_frames import VehiclePose, camera_views

AHEAD, FINER = "front_narrow", 2.25

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
    to ``starts[k + 1]``.
    """

    plan: DrivePlan
    cameras: tuple[str, ...]
    things: tuple[Thing, ...]
    ego: np.ndarray
    poses: np.ndarray
    pixels: np.ndarray
    boxes: np.ndarray
    jpeg: np.ndarray
    starts: np.ndarray

    @property
    def ticks(self) -> int:
        return len(self.ego)

    def pictures(self, tick: int) -> list[np.ndarray]:
        """[H, W, 3] uint8 RGB of every camera; :class:`CorruptError` for one that is not a picture any more."""
        first = tick * len(self.cameras)
        return [self._picture(first + k) for k in range(len(self.cameras))]

    def _picture(self, k: int) -> np.ndarray:
        bgr = cv2.imdecode(self.jpeg[self.starts[k] : self.starts[k + 1]], cv2.IMREAD_COLOR)
        if bgr is None:
            raise CorruptError(f"drive {self.plan.name}: picture {k} cannot be decoded; delete its file and run again")
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def rig_of(plan: DrivePlan) -> RigConfig:
    return load_rig(RIGS / f"{plan.rig}.yaml")


def frame_scale(camera: str) -> float:
    """Pixels a side of what the camera delivers for one of what the network takes."""
    return FINER if camera == AHEAD else 1.0


def photographed(rig: RigConfig) -> tuple[RigConfig, RigConfig]:
    """The cameras that deliver the network's size, and the one that delivers more: a renderer has one size."""
    others = tuple(camera for camera in rig.cameras if camera.name != AHEAD)
    return RigConfig(others), RigConfig((finer(rig.camera(AHEAD)),))


def finer(camera: CameraConfig) -> CameraConfig:
    """The same camera with :data:`FINER` times the pixels a side."""
    width, height = round(camera.width * FINER), round(camera.height * FINER)
    return replace(
        camera, width=width, height=height, fx=camera.fx * FINER, fy=camera.fy * FINER,
        cx=(width - 1) / 2, cy=(height - 1) / 2,
    )  # fmt: skip


def path_of(plan: DrivePlan, cache: Path) -> Path:
    """Where ``plan`` is or will be kept."""
    return cache / f"{plan.name}-{_key(plan)[:16]}.npz"


def is_rendered(plan: DrivePlan, cache: Path) -> bool:
    """Whether :func:`stored` has nothing to render for ``plan``."""
    return path_of(plan, cache).exists()


def stored(plan: DrivePlan, cache: Path) -> StoredDrive:
    """The drive from the folder ``cache`` if it is there, else rendered and put there.

    Raises :class:`CorruptError` for a damaged file, and as :func:`drive_scene` and :func:`drive_ticks` do.
    """
    path = path_of(plan, cache)
    if not path.exists():
        _render(plan, path)
    return read(path)


def _render(plan: DrivePlan, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scene = drive_scene(plan)
    part = path.with_suffix(f".{os.getpid()}.part.npz")
    try:
        np.savez(part, **_columns(scene, rig_of(plan)))
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
    return StoredDrive(plan, tuple(meta["cameras"]), things, **arrays)


def as_jpeg(rgb: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), _JPEG)[1].tobytes()


def _columns(scene: DriveScene, rig: RigConfig) -> dict[str, Any]:
    parts = photographed(rig)
    taken = [camera.name for part in parts for camera in part.cameras]
    order = [taken.index(camera.name) for camera in rig.cameras]
    shots, ego, poses, pixels, boxes = [], [], [], [], []
    for ticks in zip(*(drive_ticks(scene, part) for part in parts), strict=True):
        pictures = [rgb for tick in ticks for rgb in tick.rgb]
        shots += [np.frombuffer(as_jpeg(pictures[k]), np.uint8) for k in order]
        pose = ticks[0].pose
        ego.append((pose.x_m, pose.y_m, pose.yaw_rad))
        poses.append(ticks[0].poses)
        pixels.append(np.concatenate([tick.pixels for tick in ticks])[order])
        boxes.append(np.concatenate([tick.boxes for tick in ticks])[order])
    assets = [scene.world.assets[thing.item.slot] for thing in scene.things]
    meta = {
        "plan": asdict(scene.plan),
        "cameras": [camera.name for camera in rig.cameras],
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


def _key(plan: DrivePlan) -> str:
    """What the pictures depend on. The rig counts by the views it gives, not by how its file is written."""
    views = [camera_views(part, VehiclePose(0.0, 0.0, 0.0)) for part in photographed(rig_of(plan))]
    return hashlib.sha256(f"{_source_digest()} {plan!r} {views!r}".encode()).hexdigest()


@functools.cache
def _source_digest() -> str:
    digest = hashlib.sha256(simulator_digest().encode())
    for module in (apron_drives, apron_paths):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()
