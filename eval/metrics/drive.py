"""What a drive's records are worth against its truth: how far ahead an unknown object is told, how exactly, how often
wrongly. Pure functions; ranges are true ones, of an object's nearest point to the ego origin.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from airside.messages import Alert, Kind, Level, TickRecord
from eval.drive.truth import TrueObject
from eval.metrics.intervals import poisson, wilson
from eval.metrics.polygons import distance_to_polygon_m

STOPS_IN_M = 27.0  # from 25 km/h at 1.2 m/s2, one second of reaction included
LARGE_M = 1.5
NEAR_M = 20.0  # positions are judged up to here
VISIBLE_PATCHES, NAMED_PATCHES = 4.0, 10.0
SHOWN_PATCHES = 1.0  # less, in the last tick before it is too late, is less than the network's finest answer
RANGE_BINS_M: dict[str, tuple[float, float]] = {
    "0-10": (0, 10), "10-20": (10, 20), "20-27": (20, 27), "27-40": (27, 40), "40-60": (40, 60),
}  # fmt: skip
PATCH_BINS: dict[str, tuple[float, float]] = {"4-9": (4, 10), "10-20": (10, 21), "21-50": (21, 51), "51+": (51, np.inf)}
_LEAST_M, _OF_RANGE = 1.5, 0.15  # how far from its object a track may lie and still mean it


@dataclass(frozen=True, slots=True)
class DriveResult:
    """A drive that was run: its truth and the record of every tick."""

    name: str
    kind: str
    condition: str
    cameras: tuple[str, ...]
    tick_s: float
    truths: Sequence[tuple[TrueObject, ...]]
    records: Sequence[TickRecord]

    def __post_init__(self) -> None:
        if len(self.truths) != len(self.records):
            raise ValueError(f"drive {self.name}: {len(self.records)} records of {len(self.truths)} ticks")

    @property
    def hours(self) -> float:
        return len(self.records) * self.tick_s / 3600


def means(alert: Alert, thing: TrueObject) -> bool:
    """Whether the track lies where ``thing`` is: its near point within 1.5 m or 15 % of the range of the footprint."""
    return _distance_m(alert, thing) <= max(_LEAST_M, _OF_RANGE * thing.range_m)


def unknown_alerts(record: TickRecord, truths: Sequence[TrueObject]) -> dict[int, list[Alert]]:
    """Thing -> the alerts about something unknown that mean it, nearest first; each alert means at most one thing."""
    found: dict[int, list[Alert]] = {}
    unknown = [thing for thing in truths if thing.unknown]
    for alert in record.alerts:
        meant = [thing for thing in unknown if alert.track.kind is Kind.UNKNOWN and means(alert, thing)]
        if meant:
            nearest = min(meant, key=lambda thing: _distance_m(alert, thing))
            found.setdefault(nearest.thing, []).append(alert)
    for thing in unknown:
        found.get(thing.thing, []).sort(key=lambda alert: _distance_m(alert, thing))
    return found


def _distance_m(alert: Alert, thing: TrueObject) -> float:
    x, y = (float(value) for value in alert.track.state[:2])
    return distance_to_polygon_m((x, y), thing.footprint_xy_m)


# --- approaches


@dataclass(frozen=True, slots=True)
class Approach:
    """How one approach went. Ranges in metres at the first tick of their kind; ``None``: never. ``patches``: what the
    camera that shows most of it showed when it was last time to tell (0: it was not on the path yet)."""

    drive: str
    condition: str
    family: str
    largest_m: float
    height_m: float
    cameras: int
    first_alert_m: float | None
    confirmed_m: float | None
    level2_m: float | None
    patches: float

    @property
    def in_time(self) -> bool:
        """A level-2 alert before the vehicle could no longer stop."""
        return self.level2_m is not None and self.level2_m >= STOPS_IN_M

    @property
    def size(self) -> str:
        return size_class(self.largest_m)


def size_class(largest_m: float) -> str:
    return ">=1.5m" if largest_m >= LARGE_M else "<1.5m"


def approach_of(result: DriveResult) -> Approach | None:
    """The approach to the first unknown thing that is ever on the path; ``None`` where there is none."""
    thing = next((t for truths in result.truths for t in truths if t.unknown and t.on_path), None)
    if thing is None:
        return None
    told: list[tuple[float, list[Alert]]] = []
    patches = 0.0
    for record, truths in zip(result.records, result.truths, strict=True):
        now = _thing(truths, thing.thing)
        if now.on_path:
            told.append((now.range_m, unknown_alerts(record, truths).get(thing.thing, [])))
            patches = now.most_patches if now.range_m >= STOPS_IN_M else patches

    def first_m(level: Level, *, confirmed: bool = False) -> float | None:
        ranges = (
            range_m
            for range_m, alerts in told
            if any(alert.level >= level and (alert.track.confirmed or not confirmed) for alert in alerts)
        )
        return next(ranges, None)

    return Approach(
        drive=result.name,
        condition=result.condition,
        family=thing.family,
        largest_m=thing.largest_m,
        height_m=thing.size_m[2],
        cameras=len(result.cameras),
        first_alert_m=first_m(Level.NOTICE),
        confirmed_m=first_m(Level.NONE, confirmed=True),
        level2_m=first_m(Level.CAUTION),
        patches=patches,
    )


def first_alert_table(approaches: Iterable[Approach]) -> dict[str, dict[str, Any]]:
    """``"<condition> <size class>"`` -> how many were told in time, with Wilson's 95 % interval, and at what ranges."""
    groups: dict[str, list[Approach]] = {}
    for approach in approaches:
        groups.setdefault(f"{approach.condition} {approach.size}", []).append(approach)
    return {name: _first_alert_row(group) for name, group in sorted(groups.items())}


def _first_alert_row(group: Sequence[Approach]) -> dict[str, Any]:
    in_time = sum(approach.in_time for approach in group)
    low, high = wilson(in_time, len(group))
    ranges = sorted(approach.level2_m or 0.0 for approach in group)  # never told: at no distance
    confirmed = sorted(approach.confirmed_m or 0.0 for approach in group)
    shown = [approach for approach in group if approach.patches >= SHOWN_PATCHES]
    return {
        "approaches": len(group),
        "before_27_m": in_time,
        "share": in_time / len(group),
        "low": low,
        "high": high,
        "shown": len(shown),
        "shown_before_27_m": sum(approach.in_time for approach in shown),
        "never": sum(approach.level2_m is None for approach in group),
        "median_m": float(np.median(ranges)),
        "worst_m": ranges[0],
        "confirmed_median_m": float(np.median(confirmed)),
    }


# --- positions


def position_errors(results: Iterable[DriveResult]) -> dict[str, Any]:
    """Of tracked unknown things within 20 m, each tick: error of the range as a share of it, error across the line of
    sight in metres; medians and 90th percentiles over all. ``None`` where nothing was tracked."""
    relative, lateral, signed = [], [], []
    for result in results:
        for record, truths in zip(result.records, result.truths, strict=True):
            for number, alerts in unknown_alerts(record, truths).items():
                thing = _thing(truths, number)
                true_m = float(np.hypot(*thing.near_xy_m))
                if not alerts[0].track.confirmed or not 0 < true_m <= NEAR_M:
                    continue
                state = alerts[0].track.state[:2]
                along = np.array(thing.near_xy_m) / true_m
                off = np.asarray(state, np.float64) - thing.near_xy_m
                error_m = float(np.hypot(*state)) - true_m
                relative.append(abs(error_m) / true_m)
                signed.append(error_m / true_m)
                lateral.append(abs(float(along[0] * off[1] - along[1] * off[0])))
    if not relative:
        return {"ticks": 0, "median_relative": None, "lateral_m": None}
    return {
        "ticks": len(relative),
        "median_relative": float(np.median(relative)),
        "p90_relative": float(np.quantile(relative, 0.9)),
        "median_signed_relative": float(np.median(signed)),
        "lateral_m": float(np.median(lateral)),
        "lateral_p90_m": float(np.quantile(lateral, 0.9)),
    }


# --- when, whether, under which number


def times_to_first_alert(results: Iterable[DriveResult]) -> dict[str, Any]:
    """From the first tick that shows 4 patches of an unknown thing to its first alert, in seconds."""
    waited: list[float] = []
    never = 0
    for result in results:
        for number in _unknown_things(result):
            seen = next(
                (k for k, t in enumerate(result.truths) if _thing(t, number).most_patches >= VISIBLE_PATCHES), None
            )
            if seen is None:
                continue
            told = next((k for k in range(seen, len(result.records)) if _told(result, k, number)), None)
            if told is None:
                never += 1
            else:
                waited.append((told - seen) * result.tick_s)
    return {
        "things": len(waited) + never,
        "never": never,
        "median_s": float(np.median(waited)) if waited else None,
        "p90_s": float(np.quantile(waited, 0.9)) if waited else None,
    }


def identity_switches(results: Iterable[DriveResult]) -> dict[str, Any]:
    """How often the confirmed track that means an unknown thing changed its number. The one that meant it goes on as
    long as it does, also when another has come nearer."""
    switches, things = 0, 0
    for result in results:
        for number in _unknown_things(result):
            current: int | None = None
            for record, truths in zip(result.records, result.truths, strict=True):
                alerts = unknown_alerts(record, truths).get(number, [])
                ids = [alert.track.id for alert in alerts if alert.track.confirmed]
                if ids and current not in ids:
                    switches += current is not None
                    current = ids[0]
            things += current is not None
    return {"switches": switches, "tracked_things": things, "per_thing": switches / things if things else None}


def recall(results: Iterable[DriveResult]) -> dict[str, dict[str, dict[str, Any]]]:
    """Ticks at which a visible unknown thing (4 patches in some camera) has an alert, ``by_range`` and ``by_patches``;
    ``pictures_by_patches``: pictures that show it in which a region is called unknown, before any tracking."""
    by_range, by_patches, pictures = _Tally(RANGE_BINS_M), _Tally(PATCH_BINS), _Tally(PATCH_BINS)
    for result in results:
        for record, truths in zip(result.records, result.truths, strict=True):
            told = unknown_alerts(record, truths)
            for thing in truths:
                if not thing.unknown:
                    continue
                for camera, patches, box in zip(result.cameras, thing.patches, thing.boxes_px, strict=True):
                    pictures.add(patches, _shown_unknown(record, camera, box))
                if thing.most_patches >= VISIBLE_PATCHES:
                    by_range.add(thing.range_m, thing.thing in told)
                    by_patches.add(thing.most_patches, thing.thing in told)
    return {
        "by_range": by_range.rows(), "by_patches": by_patches.rows(), "pictures_by_patches": pictures.rows(),
    }  # fmt: skip


def told_as(results: Iterable[DriveResult]) -> dict[str, dict[str, Any]]:
    """Unknown family -> what single pictures that show at least 10 patches of it call it: ``unknown`` in how many, else
    the known class of a region there, else ``nothing``."""
    called: dict[str, Counter[str]] = {}
    for result in results:
        for record, truths in zip(result.records, result.truths, strict=True):
            for thing in truths:
                for camera, patches, box in zip(result.cameras, thing.patches, thing.boxes_px, strict=False):
                    if patches >= NAMED_PATCHES:
                        called.setdefault(thing.family, Counter())[_called(record, camera, box)] += 1
    return {
        family: {
            "pictures": names.total(),
            "recall": names["unknown"] / names.total(),
            "called": dict(names.most_common()),
        }
        for family, names in sorted(called.items())
    }


def _called(record: TickRecord, camera: str, box: tuple[float, float, float, float]) -> str:
    if _shown_unknown(record, camera, box):
        return "unknown"
    known = [s.region for s in record.sightings if s.camera == camera and _middle_in(s.region.box_px, box)]
    return max(known, key=lambda region: region.patches).name if known else "nothing"


def _shown_unknown(record: TickRecord, camera: str, box: tuple[float, float, float, float]) -> bool:
    """Whether an unknown region's middle lies within ``box``, or that of ``box`` within the region's."""
    for sighting in record.sightings:
        if sighting.camera == camera and sighting.region.kind is Kind.UNKNOWN:
            other = sighting.region.box_px
            if _middle_in(other, box) or _middle_in(box, other):
                return True
    return False


def _middle_in(one: Sequence[float], other: Sequence[float]) -> bool:
    u, v = (one[0] + one[2]) / 2, (one[1] + one[3]) / 2
    return other[0] <= u <= other[2] and other[1] <= v <= other[3]


class _Tally:
    def __init__(self, bins: Mapping[str, tuple[float, float]]) -> None:
        self._bins, self._hits, self._all = bins, Counter[str](), Counter[str]()

    def add(self, value: float, hit: bool) -> None:
        for name, (low, high) in self._bins.items():
            if low <= value < high:
                self._all[name] += 1
                self._hits[name] += hit

    def rows(self) -> dict[str, dict[str, Any]]:
        return {
            name: {"found": self._hits[name], "shown": count, "recall": self._hits[name] / count if count else None}
            for name, count in ((name, self._all[name]) for name in self._bins)
        }


# --- false alerts


@dataclass(frozen=True, slots=True)
class FalseTrack:
    """A track that means nothing unknown: each level it was published at; ``cause``: the known thing it lies on, or
    ``nothing``."""

    drive: str
    condition: str
    id: int
    levels: frozenset[Level]
    cause: str


def false_tracks(result: DriveResult) -> list[FalseTrack]:
    """Tracks with an alert that should not have been.

    At one tick an alert is right when it calls unknown what is unknown, or tells of a protected thing where one is. A
    track counts at a level when none of its ticks at that level was right.
    """
    wrong: dict[int, dict[Level, list[str]]] = {}
    right: set[tuple[int, Level]] = set()
    for record, truths in zip(result.records, result.truths, strict=True):
        meant = {a.track.id for alerts in unknown_alerts(record, truths).values() for a in alerts}
        for alert in record.alerts:
            if alert.level is Level.NONE:
                continue
            if alert.track.id in meant or _tells_of_protected(alert, truths):
                right.add((alert.track.id, alert.level))
            else:
                wrong.setdefault(alert.track.id, {}).setdefault(alert.level, []).append(_cause(alert, truths))
    found = []
    for number, by_level in wrong.items():
        levels = frozenset(level for level in by_level if (number, level) not in right)
        if levels:
            causes = Counter(cause for level in levels for cause in by_level[level])
            found.append(FalseTrack(result.name, result.condition, number, levels, causes.most_common(1)[0][0]))
    return found


def _tells_of_protected(alert: Alert, truths: Sequence[TrueObject]) -> bool:
    return alert.track.kind is Kind.KNOWN and any(thing.protected and means(alert, thing) for thing in truths)


def _cause(alert: Alert, truths: Sequence[TrueObject]) -> str:
    near = [thing for thing in truths if means(alert, thing)]
    return min(near, key=lambda thing: _distance_m(alert, thing)).family if near else "nothing"


def false_alert_rates(results: Sequence[DriveResult]) -> dict[str, Any]:
    """Episodes an hour by level, with exact 95 % Poisson intervals; ``level3_or_4`` counts a track once."""
    hours = sum(result.hours for result in results)
    tracks = [track for result in results for track in false_tracks(result)]
    counts = {f"level{int(level)}": sum(level in t.levels for t in tracks) for level in Level if level}
    counts["level3_or_4"] = sum(bool(t.levels & {Level.SLOW_STOP, Level.STOP}) for t in tracks)
    rates: dict[str, Any] = {name: count / hours if hours else None for name, count in counts.items()}
    return {
        **rates,
        "hours": hours,
        "episodes": counts,
        "interval": {
            name: [bound / hours for bound in poisson(count)] if hours else None for name, count in counts.items()
        },
        "causes": dict(Counter(track.cause for track in tracks).most_common()),
        "by_condition": {
            condition: {
                "hours": sum(r.hours for r in results if r.condition == condition),
                "episodes": sum(t.condition == condition for t in tracks),
            }
            for condition in sorted({result.condition for result in results})
        },
    }


# --- ticks


def tick_times(results: Iterable[DriveResult], limit_ms: float) -> dict[str, Any]:
    """How long the ticks took, from the records' own stages: not a measurement of a live run. The first tick of a drive
    prepares tables and is left out."""
    took = [sum(record.timing_ms.values()) for result in results for record in result.records[1:]]
    if not took:
        return {"ticks": 0, "within_limit": None, "p50_ms": None, "p99_ms": None}
    return {
        "ticks": len(took),
        "within_limit": float(np.mean([t <= limit_ms for t in took])),
        "p50_ms": float(np.median(took)),
        "p99_ms": float(np.quantile(took, 0.99)),
    }


def _thing(truths: Sequence[TrueObject], number: int) -> TrueObject:
    return next(thing for thing in truths if thing.thing == number)


def _unknown_things(result: DriveResult) -> list[int]:
    return [thing.thing for thing in result.truths[0] if thing.unknown] if result.truths else []


def _told(result: DriveResult, tick: int, number: int) -> bool:
    alerts = unknown_alerts(result.records[tick], result.truths[tick]).get(number, [])
    return any(alert.level > Level.NONE for alert in alerts)
