"""Levels rise at once and fall late, whatever a thing is taken for meanwhile."""

from __future__ import annotations

from dataclasses import replace

from airside.alerts.hold import Memory, alerts_of
from airside.config import SiteConfig
from airside.messages import Kind, Level, Track
from tests.records import track

SITE = SiteConfig()
TICK_NS = 200_000_000


def levels(*ticks: Track | None, taught_at: int = 99) -> list[tuple[Level, bool]]:
    """The level of each tick's only track, and whether it was held; from tick ``taught_at`` on with another bank."""
    memory: Memory = {}
    told = []
    for k, seen in enumerate(ticks):
        snapshot = "old" if k < taught_at else "new"
        there = [] if seen is None else [replace(seen, seen_ns=k * TICK_NS) if seen.cameras else seen]
        alerts, memory = alerts_of(there, memory, SITE, k * TICK_NS, snapshot)
        told += [(alert.level, alert.reasons[-1] == "held") for alert in alerts]
    return told


def at(x_m: float, y_m: float = 0.0, kind: Kind = Kind.UNKNOWN) -> Track:
    return track(x_m, y_m, footprint_xy_m=(), kind=kind)


def test_the_first_stop_is_never_delayed() -> None:
    assert levels(at(60), at(10)) == [(Level.NOTICE, False), (Level.STOP, False)]


def test_a_level_is_kept_for_a_second_and_then_falls() -> None:
    told = levels(at(10), *[at(10, 9)] * 7)
    assert told[0] == (Level.STOP, False)
    assert told[1:5] == [(Level.STOP, True)] * 4
    assert told[5:] == [(Level.NOTICE, False)] * 3


def test_a_level_deserved_again_starts_the_second_anew() -> None:
    told = levels(at(10), at(10, 9), at(10), *[at(10, 9)] * 5)
    assert [level for level, _ in told] == [Level.STOP] * 7 + [Level.NOTICE]


def test_while_held_it_still_rises() -> None:
    assert [level for level, _ in levels(at(20), at(20, 9), at(10))] == [Level.SLOW_STOP, Level.SLOW_STOP, Level.STOP]


def test_what_has_found_a_name_is_feared_for_a_second_more() -> None:
    told = levels(at(10), *[at(10, kind=Kind.KNOWN)] * 5)
    assert told == [(Level.STOP, False), *[(Level.STOP, True)] * 4, (Level.NONE, False)]


def test_a_name_that_comes_and_goes_does_not_shake_the_level() -> None:
    swaying = [at(10, kind=kind) for _ in range(6) for kind in (Kind.UNKNOWN, Kind.KNOWN)]
    assert {level for level, _ in levels(*swaying)} == {Level.STOP}


def test_what_a_new_bank_knows_is_feared_no_more_and_all_else_is() -> None:
    known = at(10, kind=Kind.KNOWN)
    assert levels(at(10), known, taught_at=1) == [(Level.STOP, False), (Level.NONE, False)]
    not_seen = replace(at(10), cameras=())  # in the tick of the new bank: the old one's word still
    assert levels(at(10), not_seen, known, taught_at=1)[2] == (Level.NONE, False)
    assert levels(at(10), at(10, 9), taught_at=1)[1] == (Level.STOP, True)
    assert levels(at(10), at(10), known, taught_at=1)[2] == (Level.STOP, True)  # the new bank feared it too


def test_what_is_gone_is_forgotten() -> None:
    assert levels(at(10), None, at(10, 9)) == [(Level.STOP, False), (Level.NOTICE, False)]


def test_the_most_urgent_comes_first() -> None:
    alerts, _ = alerts_of([track(50, id=1), track(12, id=2), track(5, id=3)], {}, SITE, 0, "")
    assert [alert.track.id for alert in alerts] == [3, 2, 1]
