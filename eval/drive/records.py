"""Tick records to disk and back, one JSON line a tick: what is measured on a run outlives the run.

The lines are those that airside publishes. What they leave out, the covariance of a velocity, comes back as NaN.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from airside.alerts.jsonl import json_line, read_records
from airside.messages import (
    Alert,
    CameraStatus,
    Health,
    HealthState,
    Kind,
    Level,
    Placement,
    RangeSource,
    Region,
    Sighting,
    TickRecord,
    Track,
)


def save_records(path: Path, records: Sequence[TickRecord]) -> None:
    """Write the file whole or not at all."""
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        part.write_text("".join(json_line(record) + "\n" for record in records))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def load_records(path: Path) -> list[TickRecord]:
    """Raises as :func:`airside.alerts.jsonl.read_records` does."""
    return [_record(value) for value in read_records(path)]


def _record(value: dict[str, Any]) -> TickRecord:
    plain = {
        name: value[name]
        for name in (
            "tick", "now_ns", "capture_ns", "published_ns", "valid", "expires_ns", "bank_snapshot", "model_fingerprint",
            "method", "timing_ms", "predicted",
        )
    }  # fmt: skip
    return TickRecord(
        **plain,
        health=_health(value["health"]),
        cameras=tuple(
            CameraStatus(c["camera"], _health(c["health"]), c["capture_ns"], c["observed"]) for c in value["cameras"]
        ),
        sightings=tuple(map(_sighting, value["sightings"])),
        alerts=tuple(map(_alert, value["alerts"])),
    )


def _health(value: dict[str, Any]) -> Health:
    return Health(HealthState(value["state"]), tuple(value["reasons"]))


def _alert(value: dict[str, Any]) -> Alert:
    xx, xy, yy = value["covariance_m2"]
    covariance = np.full((4, 4), np.nan)
    covariance[:2, :2] = (xx, xy), (xy, yy)
    plain = {
        name: value[name]
        for name in (
            "id", "nearest_class", "protected", "confirmed", "faint", "height_m", "similarity", "ood_score", "first_ns",
            "seen_ns",
        )
    }  # fmt: skip
    track = Track(
        **plain,
        kind=Kind(value["kind"]),
        state=np.array([*value["xy_ego_m"], *value["velocity_mps"]]),
        covariance=covariance,
        footprint_xy_m=_footprint(value["footprint_xy_m"]),
        cameras=tuple(value["cameras"]),
    )
    return Alert(track, Level(value["level"]), tuple(value["reasons"]))


def _sighting(value: dict[str, Any]) -> Sighting:
    plain = {name: value[name] for name in ("nearest_class", "similarity", "ood_score", "patches", "faint")}
    outline = np.array(value["outline_px"], np.float32).reshape(-1, 2)
    region = Region(**plain, kind=Kind(value["kind"]), box_px=tuple(value["box_px"]), outline_px=outline)
    level = Level(value["level"])
    placement = _placement(value["placement"])
    return Sighting(value["camera"], region, placement, level, tuple(value["reasons"]), value["track_id"])


def _placement(value: dict[str, Any] | None) -> Placement | None:
    if value is None:
        return None
    return Placement(
        range_m=value["range_m"],
        bearing_rad=value["bearing_rad"],
        xyz_ego_m=tuple(value["xyz_ego_m"]),
        source=RangeSource(value["source"]),
        footprint_xy_m=_footprint(value["footprint_xy_m"]),
        covariance_m2=tuple(value["covariance_m2"]),
        height_m=value["height_m"],
    )


def _footprint(corners: list[list[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in corners)
