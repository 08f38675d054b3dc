"""Truth and records of made-up drives, for tests of what is measured on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airside.messages import Alert, Level, TickRecord
from eval.drive.truth import TrueObject
from eval.metrics.drive import DriveResult
from eval.metrics.polygons import distance_to_polygon_m, near_side_of
from tests.records import tick_record, track


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
