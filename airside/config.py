"""Rig and site settings: strict YAML to frozen dataclasses. Unknown keys, wrong types and odd numbers are errors."""

from __future__ import annotations

import dataclasses
import difflib
import math
import reprlib
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from airside.errors import UsageError
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.transforms import RigidTransform, ego_from_mounted_cam

T = TypeVar("T")
_MAX_BYTES = 1 << 20  # a settings file is a page; anything larger is the wrong file


@dataclass(frozen=True, slots=True)
class MountConfig:
    """Where a camera sits on the vehicle: its optical centre in ego metres, its angles as in ``ego_from_mounted_cam``
    (positive yaw left, positive pitch down, positive roll right side down)."""

    xyz_m: tuple[float, float, float]
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0

    def __post_init__(self) -> None:
        _require(self.xyz_m[2] > 0, f"xyz_m: the camera must be above the ground, got z = {self.xyz_m[2]}")

    @property
    def transform(self) -> RigidTransform:
        """``ego_from_cam``."""
        return ego_from_mounted_cam(self.xyz_m, yaw_deg=self.yaw_deg, pitch_deg=self.pitch_deg, roll_deg=self.roll_deg)


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """One camera of the rig: intrinsics in px (pixel centres at integers), mounting, and how far to trust ranges."""

    name: str
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    ego_from_cam: MountConfig
    max_range_m: float

    def __post_init__(self) -> None:
        _require(bool(self.name), "name: must not be empty")
        _require(self.max_range_m > 0, f"max_range_m: must be positive, got {self.max_range_m}")
        _ = self.pinhole  # its own checks

    @property
    def pinhole(self) -> PinholeCamera:
        return PinholeCamera(fx=self.fx, fy=self.fy, cx=self.cx, cy=self.cy, width=self.width, height=self.height)


@dataclass(frozen=True, slots=True)
class RigConfig:
    """The cameras of one vehicle, by unique names."""

    cameras: tuple[CameraConfig, ...]

    def __post_init__(self) -> None:
        names = [camera.name for camera in self.cameras]
        _require(bool(names), "cameras: at least one is needed")
        _require(len(set(names)) == len(names), f"cameras: names must differ, got {', '.join(names)}")

    def camera(self, name: str) -> CameraConfig:
        """The camera called ``name``; :class:`UsageError` names those there are."""
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise UsageError(f"the rig has no camera {name!r}; it has: {', '.join(c.name for c in self.cameras)}")


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """What one site decided: distances for the alert rules, and when a result is too old or too strange to use."""

    corridor_half_width_m: float = 2.0  # the vehicle's path: |y| up to here
    stop_distance_m: float = 15.0
    slow_distance_m: float = 27.0
    caution_distance_m: float = 40.0
    tick_ms: int = 200
    expires_ms: int = 600  # an alert older than this is worth nothing
    bev_every: int = 2  # ticks from one bird's-eye view to the next; in between the last one is shown
    min_patches: float = 4.0  # smaller regions are not reported
    scene_novelty_limit: float = 0.5  # share of the observed patches; beyond it the scene is new, not the objects

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            _require(value > 0, f"{field.name}: must be positive, got {value}")
        _require(
            self.stop_distance_m < self.slow_distance_m < self.caution_distance_m,
            "stop_distance_m < slow_distance_m < caution_distance_m must hold, got "
            f"{self.stop_distance_m:g}, {self.slow_distance_m:g}, {self.caution_distance_m:g}",
        )
        _require(
            self.expires_ms >= self.tick_ms,
            f"expires_ms: must be at least tick_ms ({self.tick_ms}), got {self.expires_ms}: "
            "an alert would expire before the next one comes",
        )
        _require(
            self.scene_novelty_limit <= 1, f"scene_novelty_limit: a share, at most 1, got {self.scene_novelty_limit}"
        )


def load_rig(path: str | Path) -> RigConfig:
    """The rig in the YAML file ``path``; :class:`UsageError` says what is wrong and where."""
    return load_settings(RigConfig, Path(path))


def load_site(path: str | Path) -> SiteConfig:
    """The site in the YAML file ``path``; :class:`UsageError` says what is wrong and where."""
    return load_settings(SiteConfig, Path(path))


class _StrictLoader(yaml.SafeLoader):
    """YAML's own loader lets the last of two equal keys win without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is given twice", key.start_mark)
        return super().construct_mapping(node, deep)


def load_settings(cls: type[T], path: Path) -> T:
    """The strict YAML ``path`` as the frozen dataclass ``cls``; :class:`UsageError` says what is wrong, and where."""
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"settings {path}: cannot be read ({error.strerror}); check the path") from None
    if len(text) > _MAX_BYTES:
        raise UsageError(f"settings {path}: larger than {_MAX_BYTES} bytes; this is not a settings file")
    try:
        data = yaml.load(text, _StrictLoader)  # derived from the safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: 2026-99-99 where a date is looked for
        detail = " ".join(str(error).split())
        raise UsageError(f"settings {path}: not valid YAML: {detail}") from None
    try:
        return typing.cast(T, checked(cls, data, ""))
    except UsageError as error:
        raise UsageError(f"settings {path}: {error}") from None


def checked(wanted: Any, value: Any, where: str) -> Any:
    """``value`` checked against the annotation ``wanted``; whole numbers pass as floats, nothing else is converted."""
    label = where or "the file"
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        return _record(wanted, value, where)
    if typing.get_origin(wanted) is tuple:
        return _sequence(typing.get_args(wanted), value, label)
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value) if abs(value) < 1e300 else math.inf
        _require(math.isfinite(number), f"{label}: wanted a finite number, got {value}")
        return number
    if isinstance(wanted, types.GenericAlias) or type(value) is not wanted:
        raise UsageError(f"{label}: wanted {_name(wanted)}, got {_name(type(value))} {reprlib.repr(value)}")
    return value


def _sequence(items: tuple[Any, ...], value: Any, label: str) -> tuple[Any, ...]:
    _require(isinstance(value, list), f"{label}: wanted a list, got {_name(type(value))} {reprlib.repr(value)}")
    if len(items) == 2 and items[1] is Ellipsis:
        items = (items[0],) * len(value)
    _require(len(value) == len(items), f"{label}: wanted {len(items)} values, got {len(value)}")
    return tuple(checked(item, part, f"{label}[{i}]") for i, (item, part) in enumerate(zip(items, value, strict=True)))


def _record(cls: type[Any], value: Any, where: str) -> Any:
    label = where or "the file"
    _require(isinstance(value, dict), f"{label}: wanted keys and values, got {_name(type(value))}")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in value:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1, cutoff=0.0)
            raise UsageError(f"{label}: unknown key {key!r}; did you mean {near[0]!r}? known: {', '.join(fields)}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        _require(name in value or not required, f"{label}: the key {name!r} is missing")
    hints = typing.get_type_hints(cls)
    parts = {key: checked(hints[key], part, f"{where}.{key}" if where else key) for key, part in value.items()}
    try:
        return cls(**parts)
    except UsageError as error:
        raise UsageError(f"{where}: {error}" if where else str(error)) from None


def _name(kind: Any) -> str:
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false", dict: "keys and values",
            list: "a list", type(None): "nothing"}.get(kind, str(getattr(kind, "__name__", kind)))  # fmt: skip


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)
