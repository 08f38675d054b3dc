"""De-escalation with hysteresis: a level rises at once and falls when its cause has been gone for a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airside.alerts.rules import level_of_track
from airside.config import SiteConfig
from airside.messages import Alert, Kind, Level, Track

HELD = "held"  # the reason code of a level that is kept


@dataclass(frozen=True, slots=True)
class Held:
    """The highest level an object lately deserved, why, when it last did, and by which bank ``snapshot``."""

    level: Level
    reasons: tuple[str, ...]
    deserved_ns: int
    snapshot: str


Memory = dict[int, Held]  # by track, whatever it is taken for: votes that sway must not shake the level


def alerts_of(
    tracks: Sequence[Track], memory: Memory, site: SiteConfig, now_ns: int, snapshot: str
) -> tuple[tuple[Alert, ...], Memory]:
    """Every track with its level, most urgent first, and the memory for the next tick. What a new bank ``snapshot``
    knows is feared no more; what it was to the old one is not held."""
    alerts: list[Alert] = []
    kept: Memory = {}
    for track in tracks:
        level, reasons = level_of_track(track, site)
        before = memory.get(track.id)
        held = _still_held(before, level, track, site, now_ns, snapshot)
        judged_by = snapshot if before is None or track.seen_ns == now_ns else before.snapshot
        shown = held or Held(level, reasons, now_ns, judged_by)
        kept[track.id] = shown
        alerts.append(Alert(track, shown.level, (*shown.reasons, HELD) if held else shown.reasons))
    alerts.sort(key=lambda alert: (-alert.level, alert.track.range_m))
    return tuple(alerts), kept


def _still_held(
    before: Held | None, level: Level, track: Track, site: SiteConfig, now_ns: int, snapshot: str
) -> Held | None:
    """``before`` where it is more than ``level`` is now and its time is not over, ``None`` elsewhere."""
    if before is None or before.level <= level or now_ns - before.deserved_ns >= site.hold_ms * 1_000_000:
        return None
    newly_known = before.snapshot != snapshot and track.kind is Kind.KNOWN
    return None if newly_known else before
