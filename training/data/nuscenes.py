"""nuScenes (Caesar et al., arXiv 1903.11027) from its own folders, without its development kit.

The layout is that of https://www.nuscenes.org/nuscenes#data-format: ``<version>/*.json`` tables whose rows name each
other by ``token``, and pictures under ``samples/``. Its ego frame is airside's: x forward, y left, z up, origin on the
ground. Drivable area and lane markings are in the separate map expansion and not read here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from airside.errors import InputError, UsageError
from airside.geometry.bev_grid import BevGrid
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.transforms import RigidTransform
from training.bev_truth import Footprint, footprint_cells

CAMERAS = ("CAM_FRONT", "CAM_FRONT_LEFT", "CAM_FRONT_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT")
REFERENCE = "LIDAR_TOP"  # the ego frame of a sample is that of this sensor's time, which is the sample's own
_SOURCE = "download it from https://www.nuscenes.org/nuscenes#download and unpack it so that {} exists"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class NuscenesCamera:
    """One picture; ``ego_from_cam`` leads into the sample's ego frame, the drive between the two times included."""

    channel: str
    image: Path
    pinhole: PinholeCamera
    ego_from_cam: RigidTransform
    timestamp_us: int


@dataclass(frozen=True, slots=True, eq=False)
class NuscenesBox:
    """An annotated cuboid in the ego frame: ``ego_from_box`` has its origin in the middle and x along its length."""

    category: str
    instance: str
    ego_from_box: RigidTransform
    length_m: float
    width_m: float
    height_m: float
    lidar_points: int

    @property
    def is_vehicle(self) -> bool:
        return self.category.startswith("vehicle.")

    @property
    def footprint(self) -> Footprint:
        """The cuboid seen from above, its small tilt ignored."""
        ahead, (x, y, _) = self.ego_from_box.rotation[:, 0], self.ego_from_box.translation_m
        return Footprint(float(x), float(y), float(np.arctan2(ahead[1], ahead[0])), self.length_m, self.width_m)


@dataclass(frozen=True, slots=True, eq=False)
class NuscenesSample:
    """One keyframe. Boxes are all that was annotated, also those no camera or lidar ray reaches."""

    token: str
    scene: str
    location: str
    timestamp_us: int
    world_from_ego: RigidTransform
    cameras: tuple[NuscenesCamera, ...]
    boxes: tuple[NuscenesBox, ...]

    def vehicle_cells(self, grid: BevGrid) -> np.ndarray:
        """[X, Y] bool: cells whose centre lies in the footprint of a box of category ``vehicle.*``."""
        return footprint_cells(grid, [box.footprint for box in self.boxes if box.is_vehicle])


class NuscenesDataset:
    """The keyframes of ``root/version`` in the order of the scenes' table, and of time within a scene.

    ``scenes``: names to keep, ``None`` for all (the official splits are lists of scene names). ``cameras``: the
    channels wanted, in the order they are given.

    Raises :class:`InputError` for a folder that has no such version, a table that is missing or can not be read, and,
    when it is asked for, a sample without one of the cameras, or a picture that is not there; :class:`UsageError` for a
    scene that does not exist.
    """

    def __init__(
        self,
        root: str | Path,
        version: str = "v1.0-trainval",
        *,
        scenes: Sequence[str] | None = None,
        cameras: Sequence[str] = CAMERAS,
    ) -> None:
        self.root, self.version, self.cameras = Path(root), version, tuple(cameras)
        self._folder = self.root / version
        if not self._folder.is_dir():
            there = sorted(path.name for path in self.root.glob("v1.0-*") if path.is_dir())
            raise InputError(
                f"nuScenes: no version {version!r} in {self.root}; there: {', '.join(there) or 'none'}; give one of "
                f"these, or {_SOURCE.format(self._folder)}"
            )
        self._calibration = self._by_token("calibrated_sensor")
        self._channel = {token: row["channel"] for token, row in self._by_token("sensor").items()}
        self._location = {token: row["location"] for token, row in self._by_token("log").items()}
        self._scene = self._by_token("scene")
        categories = {token: row["name"] for token, row in self._by_token("category").items()}
        self._category = {
            token: self._at(categories, "category", row["category_token"])
            for token, row in self._by_token("instance").items()
        }
        self._boxes: dict[str, list[Row]] = defaultdict(list)
        for row in self._rows("sample_annotation"):
            self._boxes[row["sample_token"]].append(row)
        self._shots = self._keyframes()
        poses = {row["ego_pose_token"] for shots in self._shots.values() for row in shots.values()}
        self._pose = {row["token"]: row for row in self._rows("ego_pose") if row["token"] in poses}
        self._samples = self._ordered(None if scenes is None else set(scenes))

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> NuscenesSample:
        sample = self._samples[index]
        scene = self._at(self._scene, "scene", sample["scene_token"])
        shots = self._shots[sample["token"]]
        missing = [channel for channel in (*self.cameras, REFERENCE) if channel not in shots]
        if missing:
            raise InputError(
                f"nuScenes {self._folder}: sample {sample['token']} of {scene['name']} has no keyframe of "
                f"{', '.join(missing)}, only of {', '.join(sorted(shots)) or 'nothing'}; the table sample_data.json is "
                f"incomplete: {_SOURCE.format(self._folder)}"
            )
        world_from_ego = self._world_from_ego(shots[REFERENCE])
        return NuscenesSample(
            token=sample["token"],
            scene=scene["name"],
            location=self._at(self._location, "log", scene["log_token"]),
            timestamp_us=sample["timestamp"],
            world_from_ego=world_from_ego,
            cameras=tuple(self._camera(channel, shots[channel], world_from_ego) for channel in self.cameras),
            boxes=tuple(self._box(row, world_from_ego.inverse()) for row in self._boxes.get(sample["token"], ())),
        )

    def __iter__(self) -> Iterator[NuscenesSample]:
        return (self[index] for index in range(len(self)))

    @property
    def scenes(self) -> tuple[str, ...]:
        """Names of the scenes kept, in order."""
        return tuple(dict.fromkeys(self._scene[sample["scene_token"]]["name"] for sample in self._samples))

    def _rows(self, table: str) -> list[Row]:
        path = self._folder / f"{table}.json"
        try:
            rows = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise InputError(f"nuScenes: the table {path} is missing; {_SOURCE.format(path)}") from None
        except (OSError, ValueError) as error:
            raise InputError(f"nuScenes: the table {path} cannot be read ({error}); {_SOURCE.format(path)}") from None
        if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
            raise InputError(f"nuScenes: the table {path} is not a list of records; {_SOURCE.format(path)}")
        return rows

    def _by_token(self, table: str) -> dict[str, Row]:
        return {row["token"]: row for row in self._rows(table)}

    def _at(self, rows: dict[str, Any], table: str, token: str) -> Any:
        if token not in rows:
            raise InputError(
                f"nuScenes {self._folder}: the table {table}.json has no record {token}, which another table names; "
                f"the tables are not of one version: {_SOURCE.format(self._folder)}"
            )
        return rows[token]

    def _keyframes(self) -> dict[str, dict[str, Row]]:
        """Sample token -> channel -> its keyframe."""
        shots: dict[str, dict[str, Row]] = defaultdict(dict)
        for row in self._rows("sample_data"):
            if row["is_key_frame"]:
                sensor = self._at(self._calibration, "calibrated_sensor", row["calibrated_sensor_token"])
                shots[row["sample_token"]][self._at(self._channel, "sensor", sensor["sensor_token"])] = row
        return shots

    def _ordered(self, wanted: set[str] | None) -> list[Row]:
        names = [row["name"] for row in self._scene.values()]
        unknown = sorted((wanted or set()) - set(names))
        if unknown:
            raise UsageError(f"nuScenes {self._folder} has no scene {', '.join(unknown)}; it has {', '.join(names)}")
        of_scene: dict[str, list[Row]] = defaultdict(list)
        for row in self._rows("sample"):
            of_scene[row["scene_token"]].append(row)
            self._at(self._scene, "scene", row["scene_token"])
        kept = [token for token, row in self._scene.items() if wanted is None or row["name"] in wanted]
        return [row for token in kept for row in sorted(of_scene[token], key=lambda row: int(row["timestamp"]))]

    def _world_from_ego(self, shot: Row) -> RigidTransform:
        return _transform(self._at(self._pose, "ego_pose", shot["ego_pose_token"]))

    def _camera(self, channel: str, shot: Row, world_from_ego: RigidTransform) -> NuscenesCamera:
        calibration = self._calibration[shot["calibrated_sensor_token"]]
        matrix = np.asarray(calibration["camera_intrinsic"], np.float64)
        if matrix.shape != (3, 3):
            raise InputError(
                f"nuScenes {self._folder}: {channel} has no intrinsics in calibrated_sensor.json, wanted [3, 3], got "
                f"{list(matrix.shape)}"
            )
        image = self.root / shot["filename"]
        if not image.is_file():
            raise InputError(f"nuScenes: the picture {image} is missing; {_SOURCE.format(image)}")
        (fx, _, cx), (_, fy, cy), _ = matrix.tolist()
        pinhole = PinholeCamera(fx, fy, cx, cy, shot["width"], shot["height"])
        ego_from_cam = world_from_ego.inverse() @ self._world_from_ego(shot) @ _transform(calibration)
        return NuscenesCamera(channel, image, pinhole, ego_from_cam, shot["timestamp"])

    def _box(self, row: Row, ego_from_world: RigidTransform) -> NuscenesBox:
        width, length, height = row["size"]
        category = self._at(self._category, "instance", row["instance_token"])
        return NuscenesBox(
            category,
            row["instance_token"],
            ego_from_world @ _transform(row),
            length,
            width,
            height,
            row["num_lidar_pts"],
        )


def _transform(row: Row) -> RigidTransform:
    """A row's ``translation`` [3] in metres and ``rotation``, a quaternion (w, x, y, z), scaled to unit length."""
    w, x, y, z = np.asarray(row["rotation"], np.float64) / np.linalg.norm(row["rotation"])
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    return RigidTransform(rotation, np.asarray(row["translation"], np.float64))
