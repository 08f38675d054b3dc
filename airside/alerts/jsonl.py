"""Tick records as JSON lines: one line per tick, flushed at once, every number finite."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from airside.errors import CorruptError, InputError, StorageError
from airside.messages import HealthState, Kind, Level, RangeSource, Sighting, TickRecord

SCHEMA_VERSION = 1

_TICK_KEYS: dict[str, type | tuple[type, ...]] = {
    "schema": int, "tick": int, "camera": str, "capture_ns": int, "published_ns": int, "valid": bool,
    "expires_ns": int, "level": int, "level_name": str, "health": dict, "bank_snapshot": str,
    "model_fingerprint": str, "method": str, "sightings": list, "timing_ms": dict,
}  # fmt: skip
_SIGHTING_KEYS: dict[str, type | tuple[type, ...]] = {
    "kind": str, "name": str, "nearest_class": str, "similarity": (int, float), "ood_score": (int, float),
    "patches": (int, float), "box_px": list, "outline_px": list, "placement": (dict, type(None)), "level": int,
    "level_name": str, "reasons": list,
}  # fmt: skip
_PLACEMENT_KEYS: dict[str, type | tuple[type, ...]] = {
    "range_m": (int, float), "bearing_rad": (int, float), "xyz_ego_m": list,
}  # fmt: skip


def json_line(record: TickRecord) -> str:
    """``record`` as one line of JSON, without the line break. Outlines are rounded to a tenth of a pixel.

    Raises :class:`InputError` naming the field when a number is not finite.
    """
    value = {
        "schema": SCHEMA_VERSION,
        "tick": int(record.tick),
        "camera": record.camera,
        "capture_ns": int(record.capture_ns),
        "published_ns": int(record.published_ns),
        "valid": bool(record.valid),
        "expires_ns": int(record.expires_ns),
        "level": int(record.level),
        "level_name": record.level.name,
        "health": {"state": record.health.state.value, "reasons": list(record.health.reasons)},
        "bank_snapshot": record.bank_snapshot,
        "model_fingerprint": record.model_fingerprint,
        "method": record.method,
        "sightings": [_sighting(sighting) for sighting in record.sightings],
        "timing_ms": {stage: round(float(ms), 3) for stage, ms in record.timing_ms.items()},
    }
    for where, number in _floats(value, "record"):
        if not math.isfinite(number):
            raise InputError(f"tick {record.tick} of camera {record.camera}: {where} is {number}; not published")
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


class JsonLinesWriter:
    """Writes records to ``path``, each complete on disk's doorstep before :meth:`write` returns.

    Raises :class:`StorageError` when the file cannot be created or written. A line that did not fit is taken back,
    so the file never ends in half a record.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        try:
            self._file = self._path.open("wb", buffering=0)
        except OSError as error:
            raise self._storage_error(error) from None
        self._length = 0

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
    last_tick: dict[str, int] = {}
    for number, line in enumerate(raw.splitlines(), start=1):
        try:
            record = _checked(json.loads(line, parse_constant=_no_constant))
            if record["tick"] <= last_tick.get(record["camera"], -1):
                raise ValueError(f"tick {record['tick']} does not follow {last_tick[record['camera']]}")
        except (ValueError, RecursionError) as error:
            raise CorruptError(f"alerts {path}, line {number}: {error}") from None
        last_tick[record["camera"]] = record["tick"]
        records.append(record)
    return records


def _sighting(sighting: Sighting) -> dict[str, Any]:
    region, place = sighting.region, sighting.placement
    return {
        "kind": region.kind.value,
        "name": region.name,
        "nearest_class": region.nearest_class,
        "similarity": round(float(region.similarity), 4),
        "ood_score": round(float(region.ood_score), 6),
        "patches": round(float(region.patches), 2),
        "box_px": [round(float(edge), 1) for edge in region.box_px],
        "outline_px": np.round(np.asarray(region.outline_px, np.float64), 1).tolist(),
        "placement": None if place is None else {
            "range_m": round(float(place.range_m), 3),
            "bearing_rad": round(float(place.bearing_rad), 5),
            "xyz_ego_m": [round(float(axis), 3) for axis in place.xyz_ego_m],
            "source": place.source.value,
            "footprint_xy_m": [[round(float(x), 2), round(float(y), 2)] for x, y in place.footprint_xy_m],
        },
        "level": int(sighting.level),
        "level_name": sighting.level.name,
        "reasons": list(sighting.reasons),
    }  # fmt: skip


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
    if record["health"].get("state") not in set(HealthState):
        raise ValueError(f"health {record['health']} has no known state")
    for i, sighting in enumerate(record["sightings"]):
        _typed(sighting, _SIGHTING_KEYS, f"sightings[{i}]")
        if sighting["kind"] not in set(Kind):
            raise ValueError(f"sightings[{i}].kind {sighting['kind']!r} is unknown")
        if sighting["placement"] is not None:
            _check_placement(sighting["placement"], f"sightings[{i}].placement")
    highest = max((sighting["level"] for sighting in record["sightings"]), default=0)
    if record["level"] != highest or highest not in set(Level):
        raise ValueError(f"level {record['level']} is not that of the sightings, {highest}")
    for where, number in _floats(record, "record"):
        if not math.isfinite(number):
            raise ValueError(f"{where} is not finite")
    return dict(record)


def _check_placement(placement: dict[str, Any], where: str) -> None:
    """``source`` and ``footprint_xy_m`` came later: older lines lack them."""
    _typed(placement, _PLACEMENT_KEYS, where)
    if placement.get("source", RangeSource.GROUND) not in set(RangeSource):
        raise ValueError(f"{where}.source {placement['source']!r} is unknown")
    footprint = placement.get("footprint_xy_m", [])
    corners = footprint if isinstance(footprint, list) else [None]
    if len(corners) in (1, 2) or not all(_is_pair(corner) for corner in corners):
        raise ValueError(f"{where}.footprint_xy_m is no polygon: {footprint!r}")


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(part) in (int, float) for part in value)


def _typed(value: Any, keys: dict[str, type | tuple[type, ...]], where: str) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{where} is not an object")
    for key, kind in keys.items():
        if key not in value:
            raise ValueError(f"{where} lacks {key!r}")
        if not isinstance(value[key], kind) or (isinstance(value[key], bool) and kind is not bool):
            raise ValueError(f"{where}.{key} has the wrong type: {value[key]!r}")
