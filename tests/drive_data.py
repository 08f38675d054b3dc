"""Truth and records of made-up drives, for tests of what is measured on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from airside.messages import Alert, Level, TickRecord
from eval.drive.stored import StoredDrive, Thing
from eval.drive.truth import KNOWN_WITHIN_M, TrueObject
from eval.metrics.drive import DriveResult
from eval.metrics.polygons import distance_to_polygon_m, near_side_of
from tests.records import tick_record, track
from training.apron_drives import DrivePlan

PLAN = DrivePlan("approach", 3, "day", 25.0, "apron6", "forklift")
CAMERAS = ("front_narrow", "front_wide", "left", "right", "rear_left", "rear_right")


def stored_drive(ticks: int = 2, **changes: Any) -> StoredDrive:
    """The vehicle at (10, 20) heads along +y; an unknown box 30 m ahead, a bus 10 m to the left, a person far away."""
    things = (
        Thing("forklift", True, (3.0, 2.0, 2.4)), Thing("bus", False, (12.0, 3.0, 3.0)),
        Thing("person", False, (0.5, 0.5, 1.8)),
    )  # fmt: skip
    poses = np.array([[10.0, 50.0, np.pi / 2], [0.0, 20.0, 0.0], [10.0, 20.0 + KNOWN_WITHIN_M + 5, 0.0]])
    pixels = np.zeros((ticks, 6, 3), np.int32)
    pixels[:, 0, 0], pixels[:, 1, 0] = 3969, 196  # 4 patches of 31.5 px, one of 14
    plain: dict[str, Any] = {
        "plan": PLAN, "cameras": CAMERAS, "things": things,
        "ego": np.tile([10.0, 20.0, np.pi / 2], (ticks, 1)), "poses": np.tile(poses, (ticks, 1, 1)), "pixels": pixels,
        "boxes": np.zeros((ticks, 6, 3, 4), np.int16), "jpeg": np.zeros(0, np.uint8), "starts": np.zeros(1, np.int64),
    }  # fmt: skip
    return StoredDrive(**(plain | changes))


def true_object(x_m: float, y_m: float = 0.0, *, side_m: float = 2.0, **changes: Any) -> TrueObject:
    """An unknown box whose near side is at ``x_m``, ``side_m`` deep and wide, 30 patches large in the one camera."""
    half = side_m / 2
    corners = ((x_m, y_m - half), (x_m + side_m, y_m - half), (x_m + side_m, y_m + half), (x_m, y_m + half))
    plain: dict[str, Any] = {
        "thing": 0, "family": "forklift", "unknown": True, "protected": False, "size_m": (side_m, side_m, 1.5),
        "footprint_xy_m": corners, "near_xy_m": near_side_of(corners),
        "range_m": distance_to_polygon_m((0.0, 0.0), corners), "on_path": abs(y_m) <= 2, "patches": (30.0,),
        "boxes_px": ((100.0, 80.0, 180.0, 140.0),),
    }  # fmt: skip
    return TrueObject(**(plain | changes))


def alert_at(x_m: float, y_m: float = 0.0, level: Level = Level.CAUTION, **changes: Any) -> Alert:
    return Alert(track(x_m, y_m, **changes), level, ("unknown_in_caution_distance",))


def drive_result(
    truths: Sequence[tuple[TrueObject, ...]], alerts: Sequence[tuple[Alert, ...]], **changes: Any
) -> DriveResult:
    records: list[TickRecord] = [tick_record(k, alerts=given) for k, given in enumerate(alerts)]
    plain: dict[str, Any] = {
        "name": "made-up", "kind": "approach", "condition": "day", "cameras": ("front",), "tick_s": 0.2,
        "truths": list(truths), "records": records,
    }  # fmt: skip
    return DriveResult(**(plain | changes))
