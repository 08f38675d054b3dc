"""Cameras from ROS: ``sensor_msgs/CameraInfo`` as ``ros2 topic echo`` prints it, as ``camera_calibration`` and
``camera_info_manager`` keep it, and as a decoded message.

K and D describe the pictures as taken (``image_raw``). A lens without distortion, or with nothing but zeros, is a
pinhole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airside.config.rig import CameraConfig, LensModel, MountConfig
from airside.config.strict import read_documents, require
from airside.errors import UsageError
from airside.geometry.distortion import COEFFICIENT_COUNTS, check_coefficients

_MODELS: dict[str, LensModel] = {
    "plumb_bob": "plumb_bob",
    "rational_polynomial": "rational",
    "equidistant": "equidistant",
    "fisheye": "equidistant",
}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_WHAT = "camera info"


@dataclass(frozen=True, slots=True)
class InfoLens:
    """What a CameraInfo tells of a camera: all but where it is mounted."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    model: LensModel
    coefficients: tuple[float, ...]

    def camera(
        self, name: str, mount: MountConfig, max_range_m: float, source: str = "", rate_hz: float | None = None
    ) -> CameraConfig:
        """The camera ``name`` of a rig; raises as :class:`CameraConfig`."""
        return CameraConfig(
            name, self.width, self.height, self.fx, self.fy, self.cx, self.cy, mount, max_range_m,
            self.model, self.coefficients, source=source, rate_hz=rate_hz,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class InfoFile:
    """A CameraInfo and the names it goes by: ``frame_id`` in the tree of transforms, both empty where not told."""

    lens: InfoLens
    camera_name: str
    frame_id: str


def lens_from_camera_info(
    *, height: int, width: int, distortion_model: str, d: Sequence[float], k: Sequence[float]
) -> InfoLens:
    """The lens of a decoded message's fields (arrays pass too). Zeros behind a model's coefficients are dropped.

    Raises :class:`UsageError` for a camera that is not calibrated, a model that is not known (``thin_prism``, ...), a
    wrong number of coefficients, numbers that are not finite, and a K that is none.
    """
    d, k = [float(value) for value in d], [float(value) for value in k]
    require(len(k) == 9, f"k: wanted 9 numbers, got {len(k)}")
    require(all(abs(value) < 1e9 for value in (*k, *d)), "k, d: wanted finite numbers")  # NaN neither
    require(k[0] != 0, "k: its first number is 0, which says not calibrated; calibrate the camera first")
    plain = max(abs(k[1]), abs(k[3]), abs(k[6]), abs(k[7])) <= 1e-6 * abs(k[0]) and abs(k[8] - 1) <= 1e-6
    require(plain, f"k: wanted fx 0 cx 0 fy cy 0 0 1, got {' '.join(f'{value:g}' for value in k)}")
    inside = -0.5 <= k[2] < width - 0.5 and -0.5 <= k[5] < height - 0.5
    require(inside, f"k: the axis ({k[2]:g}, {k[5]:g}) is not in the picture of {width} x {height} px")
    model, coefficients = _model(distortion_model, d)
    return InfoLens(int(width), int(height), k[0], k[4], k[2], k[5], model, coefficients)


def _model(name: str, d: list[float]) -> tuple[LensModel, tuple[float, ...]]:
    if name == "" and not any(d):
        return "pinhole", ()
    if name not in _MODELS:
        raise UsageError(f"distortion_model {name!r} is not known; known: {', '.join(_MODELS)}. Calibrate with one")
    model = _MODELS[name]
    most = max(COEFFICIENT_COUNTS[model])
    kept = tuple(d[:most])
    require(not any(d[most:]), f"d: {name} takes at most {most} coefficients, got {len(d)} with more than zeros behind")
    if not any(kept):
        return "pinhole", ()
    check_coefficients(model, kept)
    return model, kept


def read_camera_info(path: Path) -> InfoFile:
    """The first CameraInfo in the YAML ``path``, in either of the layouts; :class:`UsageError` says what is wrong."""
    data = next((document for document in read_documents(path, _WHAT) if document is not None), None)
    try:
        if not isinstance(data, dict):
            raise UsageError("wanted the keys and values of a CameraInfo")
        return _from_calibration(data) if "camera_matrix" in data else _from_message(data)
    except UsageError as error:
        raise UsageError(f"{_WHAT} {path}: {error}") from None


def _from_message(data: dict[str, Any]) -> InfoFile:
    keys = {str(key).lower(): value for key, value in data.items()}  # ROS 1 writes K, D, R, P
    roi = keys.get("roi")
    if isinstance(roi, dict):
        cut = (roi.get("height") or 0, roi.get("width") or 0)
        whole = cut in ((0, 0), (keys.get("height"), keys.get("width")))
        require(whole and not (roi.get("x_offset") or roi.get("y_offset")), "roi: pictures of a part are not supported")
    header = keys.get("header")
    frame_id = header.get("frame_id") if isinstance(header, dict) else None
    lens = lens_from_camera_info(
        height=_size(keys, "height"),
        width=_size(keys, "width"),
        distortion_model=_text(keys, "distortion_model"),
        d=_numbers(keys.get("d"), "d"),
        k=_numbers(keys.get("k"), "k"),
    )
    return InfoFile(lens, "", frame_id.strip("/") if isinstance(frame_id, str) else "")


def _from_calibration(data: dict[str, Any]) -> InfoFile:
    camera_name = data.get("camera_name")
    lens = lens_from_camera_info(
        height=_size(data, "image_height"),
        width=_size(data, "image_width"),
        distortion_model=_text(data, "distortion_model"),
        d=_numbers(_data_of(data, "distortion_coefficients"), "distortion_coefficients"),
        k=_numbers(_data_of(data, "camera_matrix"), "camera_matrix"),
    )
    return InfoFile(lens, camera_name if isinstance(camera_name, str) else "", "")


def _data_of(data: dict[str, Any], key: str) -> Any:
    entry = data.get(key)
    if not isinstance(entry, dict) or "data" not in entry:
        raise UsageError(f"{key}: wanted rows, cols and data")
    return entry["data"]


def _size(data: dict[str, Any], key: str) -> int:
    value = data.get(key)
    if type(value) is not int or not 0 < value < 1 << 20:
        raise UsageError(f"{key}: wanted a number of pixels, got {str(value)[:40]!r}")
    return value


def _text(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str):
        raise UsageError(f"{key}: wanted text, got {str(value)[:40]!r}")
    return value


def _numbers(value: Any, label: str) -> list[float]:
    if not isinstance(value, list):
        raise UsageError(f"{label}: wanted a list of numbers, got {str(value)[:40]!r}")
    return [_number(part, label) for part in value]


def _number(value: Any, label: str) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value):  # YAML 1.1 reads 1e-05, without a point, as text
        return float(value)
    require(
        type(value) in (int, float) and abs(value) < 1e9, f"{label}: wanted finite numbers, got {str(value)[:40]!r}"
    )
    return float(value)
