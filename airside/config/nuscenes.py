"""The rig of a nuScenes keyframe: ``{"cameras": {NAME: {"cam2img": 3 x 3, "cam2ego": 4 x 4}}}`` as JSON.

Its ego frame is airside's (x forward, y left, z up, on the ground), its pictures are rectified: every camera is a
pinhole. The file gives no picture size; all nuScenes cameras take 1600 x 900 px.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from airside.config.rig import CameraConfig, MountConfig, RigConfig
from airside.config.strict import read_small, require
from airside.errors import UsageError
from airside.geometry.transforms import RigidTransform

WIDTH, HEIGHT = 1600, 900
_WHAT = "nuScenes calibration"


def rig_from_nuscenes(path: Path, *, width: int = WIDTH, height: int = HEIGHT, max_range_m: float) -> RigConfig:
    """All cameras of the calibration ``path``; :class:`UsageError` says which value of which camera is wrong."""
    try:
        data = json.loads(read_small(path, _WHAT))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{_WHAT} {path}: not valid JSON ({error}); check that it is complete") from None
    try:
        require(isinstance(data, dict) and isinstance(data.get("cameras"), dict), "wanted an object with 'cameras'")
        return RigConfig(
            tuple(_camera(name, entry, width, height, max_range_m) for name, entry in data["cameras"].items())
        )
    except UsageError as error:
        raise UsageError(f"{_WHAT} {path}: {error}") from None


def _camera(name: str, entry: Any, width: int, height: int, max_range_m: float) -> CameraConfig:
    try:
        require(isinstance(entry, dict), "wanted an object with 'cam2img' and 'cam2ego'")
        k = _matrix(entry, "cam2img", 3)
        require(
            float(np.abs(k[[0, 1, 2, 2], [1, 0, 0, 1]]).max()) == 0 and k[2, 2] == 1,
            "cam2img: wanted [fx 0 cx; 0 fy cy; 0 0 1]",
        )
        fx, fy, cx, cy = float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2])
        inside = -0.5 <= cx < width - 0.5 and -0.5 <= cy < height - 0.5
        require(inside, f"cam2img: the axis ({cx:g}, {cy:g}) is not in a picture of {width} x {height} px; see --size")
        try:
            mount = MountConfig.from_transform(RigidTransform.from_matrix(_matrix(entry, "cam2ego", 4)))
        except UsageError as error:
            raise UsageError(f"cam2ego: {error}") from None
        return CameraConfig(name, width, height, fx, fy, cx, cy, mount, max_range_m)
    except UsageError as error:
        raise UsageError(f"camera {name!r}: {error}") from None


def _matrix(entry: dict[str, Any], key: str, side: int) -> np.ndarray:
    require(key in entry, f"{key} is missing")
    rows = entry[key]
    square = isinstance(rows, list) and len(rows) == side and all(isinstance(r, list) and len(r) == side for r in rows)
    require(square, f"{key}: wanted {side} rows of {side} numbers")
    numbers = all(type(value) in (int, float) and abs(value) < 1e9 for row in rows for value in row)  # NaN neither
    require(numbers, f"{key}: wanted finite numbers")
    return np.array(rows, np.float64)
