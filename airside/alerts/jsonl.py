"""Tick records as JSON lines: one line per tick, flushed at once, every number finite."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from airside.errors import CorruptError, InputError, StorageError
from airside.messages import (
    Alert,
    Footprint,
    Health,
    HealthState,
    Kind,
    Level,
    Occupancy,
    RangeSource,
    Sighting,
    TickRecord,
)

SCHEMA_VERSION = 2  # 1 had one camera and no alerts

_Types = dict[str, type | tuple[type, ...]]
_NUMBER = (int, float)
_TICK_KEYS: _Types = {
    "schema": int, "tick": int, "now_ns": int, "capture_ns": int, "published_ns": int, "valid": bool, "expires_ns": int,
    "level": int, "level_name": str, "health": dict, "cameras": list, "bank_snapshot": str,
    "model_fingerprint": str, "method": str, "predicted": bool, "alerts": list, "sightings": list,
    "timing_ms": dict,
}  # fmt: skip
_CAMERA_KEYS: _Types = {"camera": str, "health": dict, "capture_ns": (int, type(None)), "observed": bool}
_SIGHTING_KEYS: _Types = {
    "camera": str, "kind": str, "name": str, "nearest_class": str, "similarity": _NUMBER, "ood_score": _NUMBER,
    "faint": bool, "patches": _NUMBER, "box_px": list, "outline_px": list, "placement": (dict, type(None)),
    "track_id": (int, type(None)), "level": int, "level_name": str, "reasons": list,
}  # fmt: skip
_PLACEMENT_KEYS: _Types = {
    "range_m": _NUMBER, "bearing_rad": _NUMBER, "xyz_ego_m": list, "source": str, "footprint_xy_m": list,
    "covariance_m2": list, "height_m": _NUMBER,
}  # fmt: skip
_ALERT_KEYS: _Types = {
    "id": int, "kind": str, "name": str, "nearest_class": str, "protected": bool, "confirmed": bool, "faint": bool,
    "range_m": _NUMBER, "bearing_rad": _NUMBER, "xy_ego_m": list, "velocity_mps": list, "covariance_m2": list,
    "footprint_xy_m": list, "height_m": _NUMBER, "similarity": _NUMBER, "ood_score": _NUMBER, "cameras": list,
    "first_ns": int, "seen_ns": int, "level": int, "level_name": str, "reasons": list,
}  # fmt: skip


def json_line(record: TickRecord) -> str:
    """``record`` as one line of JSON, without the line break. Outlines are rounded to a tenth of a pixel.

    Raises :class:`InputError` naming the field when a number is not finite.
    """
    value = {
        "schema": SCHEMA_VERSION,
        "tick": int(record.tick),
        "now_ns": int(record.now_ns),
        "capture_ns": int(record.capture_ns),
        "published_ns": int(record.published_ns),
        "valid": bool(record.valid),
        "expires_ns": int(record.expires_ns),
        "level": int(record.level),
        "level_name": record.level.name,
        "health": _health(record.health),
        "cameras": [
            {"camera": c.camera, "health": _health(c.health), "capture_ns": c.capture_ns, "observed": c.observed}
            for c in record.cameras
        ],
        "bank_snapshot": record.bank_snapshot,
        "model_fingerprint": record.model_fingerprint,
        "method": record.method,
        "predicted": bool(record.predicted),
        "alerts": [_alert(alert) for alert in record.alerts],
        "sightings": [_sighting(sighting) for sighting in record.sightings],
        "timing_ms": {stage: round(float(ms), 3) for stage, ms in record.timing_ms.items()},
    }
    for where, number in _floats(value, "record"):
        if not math.isfinite(number):
            raise InputError(f"tick {record.tick}: {where} is {number}; not published")
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


class JsonLinesWriter:
    """Writes records to ``path``, each complete on disk's doorstep before :meth:`write` returns.

    Raises :class:`StorageError` when the file cannot be created or written. A line that did not fit is taken back,
    so the file never ends in half a record, and the next one is written when there is space again.

    A :class:`airside.alerts.publishers.Publisher`: records predicted between ticks are not written.
    """

    name = "jsonl"
    fault: str | None = None  # it has no thread of its own: what goes wrong is raised
    dropped = 0

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        try:
            self._file = self._path.open("wb", buffering=0)
        except OSError as error:
            raise self._storage_error(error) from None
        self._length = 0

    def publish(self, record: TickRecord, occupancy: Occupancy | None = None) -> None:
        """Append a tick's record; the grid is not written."""
        if not record.predicted:
            self.write(record)

    def write(self, record: TickRecord) -> None:
        """Append one record."""
        line = json_line(record).encode() + b"\n"
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            self._take_back()
            raise self._storage_error(error) from None
        self._length += len(line)

    def close(self) -> None:
        """Safe to call twice."""
        try:
            self._file.close()
        except OSError as error:
            raise self._storage_error(error) from None

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._file.fileno(), self._length)
            self._file.seek(self._length)
        except OSError:
            return  # a device or pipe cannot be shortened; the error that brought us here is raised anyway

    def _storage_error(self, error: OSError) -> StorageError:
        return StorageError(f"alerts {self._path}: {error.strerror}; free space or choose another --out and run again")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_records(path: str | Path) -> list[dict[str, Any]]:
    """Every record of the file ``path``, checked: complete lines, keys and types, finite numbers, rising ticks.

    Raises :class:`CorruptError` naming the line, :class:`StorageError` when the file cannot be read.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise StorageError(f"alerts {path}: {error.strerror}; check the path") from None
    if raw and not raw.endswith(b"\n"):
        raise CorruptError(f"alerts {path}: the last line is incomplete; it was cut off while being written")
    records: list[dict[str, Any]] = []
    last_tick = -1
    for number, line in enumerate(raw.splitlines(), start=1):
        try:
            record = _checked(json.loads(line, parse_constant=_no_constant))
            if record["tick"] <= last_tick:
                raise ValueError(f"tick {record['tick']} does not follow {last_tick}")
        except (ValueError, RecursionError) as error:
            raise CorruptError(f"alerts {path}, line {number}: {error}") from None
        last_tick = record["tick"]
        records.append(record)
    return records


def _sighting(sighting: Sighting) -> dict[str, Any]:
    region, place = sighting.region, sighting.placement
    return {
        "camera": sighting.camera,
        "kind": region.kind.value,
        "name": region.name,
        "nearest_class": region.nearest_class,
        "similarity": round(float(region.similarity), 4),
        "ood_score": round(float(region.ood_score), 6),
        "faint": bool(region.faint),
        "patches": round(float(region.patches), 2),
        "box_px": _rounded(region.box_px, 1),
        "outline_px": np.round(np.asarray(region.outline_px, np.float64), 1).tolist(),
        "placement": None if place is None else {
            "range_m": round(float(place.range_m), 3),
            "bearing_rad": round(float(place.bearing_rad), 5),
            "xyz_ego_m": _rounded(place.xyz_ego_m, 3),
            "source": place.source.value,
            "footprint_xy_m": _corners(place.footprint_xy_m),
            "covariance_m2": _rounded(place.covariance_m2, 4),
            "height_m": round(float(place.height_m), 2),
        },
        "track_id": sighting.track_id,
        "level": int(sighting.level),
        "level_name": sighting.level.name,
        "reasons": list(sighting.reasons),
    }  # fmt: skip


def _alert(alert: Alert) -> dict[str, Any]:
    track = alert.track
    (xx, xy, *_), (_, yy, *_) = track.covariance[:2]
    return {
        "id": int(track.id),
        "kind": track.kind.value,
        "name": track.name,
        "nearest_class": track.nearest_class,
        "protected": bool(track.protected),
        "confirmed": bool(track.confirmed),
        "faint": bool(track.faint),
        "range_m": round(track.range_m, 3),
        "bearing_rad": round(track.bearing_rad, 5),
        "xy_ego_m": _rounded(track.state[:2], 3),
        "velocity_mps": _rounded(track.state[2:], 3),
        "covariance_m2": _rounded((xx, xy, yy), 4),
        "footprint_xy_m": _corners(track.footprint_xy_m),
        "height_m": round(float(track.height_m), 2),
        "similarity": round(float(track.similarity), 4),
        "ood_score": round(float(track.ood_score), 6),
        "cameras": list(track.cameras),
        "first_ns": int(track.first_ns),
        "seen_ns": int(track.seen_ns),
        "level": int(alert.level),
        "level_name": alert.level.name,
        "reasons": list(alert.reasons),
    }


def _health(health: Health) -> dict[str, Any]:
    return {"state": health.state.value, "reasons": list(health.reasons)}


def _rounded(values: Iterable[float], digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]


def _corners(footprint: Footprint) -> list[list[float]]:
    return [_rounded(corner, 2) for corner in footprint]


def _floats(value: Any, where: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float):
        yield where, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _floats(part, f"{where}.{key}")
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from _floats(part, f"{where}[{i}]")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _checked(record: Any) -> dict[str, Any]:
    _typed(record, _TICK_KEYS, "record")
    if record["schema"] != SCHEMA_VERSION:
        raise ValueError(f"schema {record['schema']} is not {SCHEMA_VERSION}")
    _check_health(record["health"], "record.health")
    for i, camera in enumerate(record["cameras"]):
        _typed(camera, _CAMERA_KEYS, f"cameras[{i}]")
        _check_health(camera["health"], f"cameras[{i}].health")
    for i, sighting in enumerate(record["sightings"]):
        _typed(sighting, _SIGHTING_KEYS, f"sightings[{i}]")
        _check_kind(sighting, f"sightings[{i}]")
        if sighting["placement"] is not None:
            where = f"sightings[{i}].placement"
            _typed(sighting["placement"], _PLACEMENT_KEYS, where)
            if sighting["placement"]["source"] not in set(RangeSource):
                raise ValueError(f"{where}.source {sighting['placement']['source']!r} is unknown")
            _check_footprint(sighting["placement"], where)
    for i, alert in enumerate(record["alerts"]):
        _typed(alert, _ALERT_KEYS, f"alerts[{i}]")
        _check_kind(alert, f"alerts[{i}]")
        _check_footprint(alert, f"alerts[{i}]")
    highest = max((item["level"] for item in (*record["alerts"], *record["sightings"])), default=0)
    if record["level"] != highest or highest not in set(Level):
        raise ValueError(f"level {record['level']} is not that of the alerts and sightings, {highest}")
    for where, number in _floats(record, "record"):
        if not math.isfinite(number):
            raise ValueError(f"{where} is not finite")
    return dict(record)


def _check_health(health: dict[str, Any], where: str) -> None:
    if health.get("state") not in set(HealthState):
        raise ValueError(f"{where} {health} has no known state")


def _check_kind(item: dict[str, Any], where: str) -> None:
    if item["kind"] not in set(Kind):
        raise ValueError(f"{where}.kind {item['kind']!r} is unknown")


def _check_footprint(item: dict[str, Any], where: str) -> None:
    footprint = item["footprint_xy_m"]
    if len(footprint) in (1, 2) or not all(_is_pair(corner) for corner in footprint):
        raise ValueError(f"{where}.footprint_xy_m is no polygon: {footprint!r}")


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(part) in (int, float) for part in value)


def _typed(value: Any, keys: _Types, where: str) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is not an object")
    for key, kind in keys.items():
        if key not in value:
            raise ValueError(f"{where} lacks {key!r}")
        if not isinstance(value[key], kind) or (isinstance(value[key], bool) and kind is not bool):
            raise ValueError(f"{where}.{key} has the wrong type: {value[key]!r}")
