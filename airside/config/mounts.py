"""Where cameras are mounted, for those whose calibration does not say: a file of mounts, or ROS's static transforms.

A file of mounts is a rig without lenses::

    mounts:
      - name: front
        ego_from_cam: {xyz_m: [1.2, 0.0, 1.8], yaw_deg: 0.0, pitch_deg: 3.0}
        max_range_m: 60.0       # these three may be left out
        source: /dev/video0
        rate_hz: 15.0

Static transforms are what ``ros2 topic echo /tf_static`` prints. The camera is found by its ``frame_id``, which by the
CameraInfo's own rule is the optical frame; the vehicle's frame must have its origin on the ground.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airside.config.rig import MountConfig
from airside.config.strict import checked, read_documents, require
from airside.errors import UsageError
from airside.geometry.transforms import RigidTransform, rotation_from_quaternion

DEFAULT_RANGE_M = 60.0  # where one pixel of a wide camera becomes some 10 m of ground
_WHAT = "mounts"


@dataclass(frozen=True, slots=True)
class MountedCamera:
    """One entry of a file of mounts, as :class:`airside.config.CameraConfig` has it."""

    name: str
    ego_from_cam: MountConfig
    max_range_m: float = DEFAULT_RANGE_M
    source: str = ""
    rate_hz: float | None = None


@dataclass(frozen=True, slots=True)
class _MountsFile:
    mounts: tuple[MountedCamera, ...]


@dataclass(frozen=True, slots=True)
class _Vector:
    x: float
    y: float
    z: float


@dataclass(frozen=True, slots=True)
class _Quaternion:
    x: float
    y: float
    z: float
    w: float


@dataclass(frozen=True, slots=True)
class _Transform:
    translation: _Vector
    rotation: _Quaternion

    @property
    def rigid(self) -> RigidTransform:
        q, t = self.rotation, self.translation
        return RigidTransform(rotation_from_quaternion((q.w, q.x, q.y, q.z)), [t.x, t.y, t.z])  # type: ignore[arg-type]


class Mounts:
    """What the file ``path`` says of mounting. Raises :class:`UsageError`, naming the file, for anything doubtful."""

    def __init__(self, path: Path, base: str) -> None:
        self._path, self._base = path, base.strip("/")
        self._named: dict[str, MountedCamera] = {}
        self._parents: dict[str, tuple[str, RigidTransform]] = {}
        documents = [document for document in read_documents(path, _WHAT) if document is not None]
        try:
            require(bool(documents), "the file is empty")
            if all(isinstance(document, dict) and "transforms" in document for document in documents):
                self._parents = dict(_parents(documents))
            else:
                require(len(documents) == 1, f"wanted one YAML document, got {len(documents)}")
                entries = checked(_MountsFile, documents[0], "").mounts
                self._named = {entry.name: entry for entry in entries}
                require(len(self._named) == len(entries), "mounts: names must differ")
        except UsageError as error:
            raise UsageError(f"{_WHAT} {path}: {error}") from None

    def of(self, name: str, frame_id: str) -> MountedCamera:
        """The mounting of the camera ``name`` whose optical frame is ``frame_id``."""
        if self._parents:
            try:
                require(bool(frame_id), f"camera {name}: its CameraInfo names no header.frame_id to look up")
                return MountedCamera(name, MountConfig.from_transform(self._base_from(frame_id)))
            except UsageError as error:
                raise UsageError(f"{_WHAT} {self._path}: {error}") from None
        if name not in self._named:
            raise UsageError(f"{_WHAT} {self._path}: no camera {name!r}; it has: {', '.join(self._named) or 'none'}")
        return self._named[name]

    def _base_from(self, frame_id: str) -> RigidTransform:
        at, passed, chain = frame_id, {frame_id}, None
        while at != self._base:
            if at not in self._parents:
                raise UsageError(
                    f"no way from {frame_id} to {self._base}: nothing is above {at}; frames: "
                    f"{', '.join(sorted(self._parents))}. Another frame of the vehicle is named with --base"
                )
            at, up = self._parents[at]
            require(at not in passed, f"the transforms above {frame_id} run in a circle")
            passed.add(at)
            chain = up if chain is None else up @ chain
        require(chain is not None, f"{frame_id} is the vehicle's own frame, not a camera's")
        assert chain is not None
        return chain


def _parents(documents: list[dict[str, Any]]) -> Iterable[tuple[str, tuple[str, RigidTransform]]]:
    """(child, (parent, parent_from_child)) of every transform."""
    for document in documents:
        require(isinstance(document["transforms"], list), "transforms: wanted a list")
        for entry in document["transforms"]:
            header = entry.get("header") if isinstance(entry, dict) else None
            parent = header.get("frame_id") if isinstance(header, dict) else None
            child = entry.get("child_frame_id") if isinstance(entry, dict) else None
            named = isinstance(parent, str) and isinstance(child, str)
            require(named, "transforms: wanted header.frame_id and child_frame_id with each")
            try:
                rigid = checked(_Transform, entry.get("transform"), "transform").rigid
            except UsageError as error:
                raise UsageError(f"{parent} to {child}: {error}") from None
            yield str(child).strip("/"), (str(parent).strip("/"), rigid)
