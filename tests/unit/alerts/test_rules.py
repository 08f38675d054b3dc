"""The rule table, reviewed as data and asked about every combination."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

from airside.alerts.rules import level_of_sighting, level_of_track, reaches_lower_middle
from airside.config import SiteConfig
from airside.config.site import RULES, ZoneConfig
from airside.messages import Kind, Level, Region, Sighting, Track
from tests.records import track

SITE = SiteConfig()  # 25 km/h: 2 m half width; 15.0, 27.0, 40.9 m
MIDDLE, ASIDE = (100.0, 150.0, 200.0, 200.0), (0.0, 0.0, 50.0, 60.0)


def at(x: float, y: float = 0.0, vy: float = 0.0, **changes: Any) -> Track:
    """A thing without width, seen well."""
    plain = {"footprint_xy_m": (), "state": np.array([x, y, 0.0, vy]), "covariance": np.eye(4) * 1e-6}
    return track(**(plain | changes))


@pytest.mark.parametrize(
    ("seen", "level", "reason"),
    [
        (at(3), Level.STOP, "unknown_in_stop_distance"),
        (at(14.9), Level.STOP, "unknown_in_stop_distance"),
        (at(15.1), Level.SLOW_STOP, "unknown_in_slow_distance"),
        (at(27.1), Level.CAUTION, "unknown_in_caution_distance"),
        (at(41.0), Level.NOTICE, "unknown_elsewhere"),
        (at(3, 2.0), Level.STOP, "unknown_in_stop_distance"),
        (at(3, -2.01), Level.NOTICE, "unknown_elsewhere"),
        (at(-5, 1), Level.STOP, "unknown_in_stop_distance"),  # behind is path too
        (at(3, faint=True), Level.CAUTION, "unfamiliar_on_path"),
        (at(3, faint=True, confirmed=False), Level.NOTICE, "unknown_elsewhere"),
        (at(3, 5, faint=True), Level.NOTICE, "unknown_elsewhere"),
        (at(3, confirmed=False), Level.CAUTION, "unknown_in_caution_distance"),  # at once, but lower
        (at(9, 4, footprint_xy_m=((9, 4), (9, 1.5), (10, 1.5))), Level.STOP, "unknown_in_stop_distance"),
        (at(9, 4, footprint_xy_m=((9, 4), (9, -4), (10, -4))), Level.STOP, "unknown_in_stop_distance"),
        (at(20, 5, vy=-1.2), Level.CAUTION, "unknown_entering_path"),
        (at(20, 5, vy=-0.9), Level.NOTICE, "unknown_elsewhere"),  # does not get there in three seconds
        (at(20, 5, vy=1.2), Level.NOTICE, "unknown_elsewhere"),
        (at(20, 2.5, vy=-0.4), Level.NOTICE, "unknown_elsewhere"),  # stands still, as far as one can tell
        (at(20, 5, vy=-1.2, covariance=np.eye(4)), Level.NOTICE, "unknown_elsewhere"),  # perhaps it does
        (at(20, 5, vy=-1.2, confirmed=False), Level.NOTICE, "unknown_elsewhere"),
        (at(3, kind=Kind.KNOWN), Level.NONE, "known"),
        (at(3, kind=Kind.KNOWN, protected=True), Level.NOTICE, "person_in_stop_distance"),
        (at(15.1, kind=Kind.KNOWN, protected=True), Level.NONE, "known"),
        (at(3, 5, kind=Kind.KNOWN, protected=True), Level.NONE, "known"),
    ],
)
def test_level_of_track(seen: Track, level: Level, reason: str) -> None:
    assert level_of_track(seen, SITE) == (level, (reason,))


def region(kind: Kind, box: tuple[float, float, float, float]) -> Sighting:
    found = Region(kind, "person", 0.4, 0.9, 9.0, box, np.zeros((0, 2), np.float32))
    return Sighting("front", found, None, Level.NONE, ())


@pytest.mark.parametrize(
    ("kind", "protected", "box", "level", "reason"),
    [
        (Kind.UNKNOWN, False, MIDDLE, Level.CAUTION, "unknown_ahead_range_unknown"),
        (Kind.UNKNOWN, True, MIDDLE, Level.CAUTION, "unknown_ahead_range_unknown"),
        (Kind.UNKNOWN, False, ASIDE, Level.NOTICE, "unknown_elsewhere"),
        (Kind.KNOWN, False, MIDDLE, Level.NONE, "known"),
        (Kind.KNOWN, True, MIDDLE, Level.NOTICE, "person_ahead_range_unknown"),
        (Kind.KNOWN, True, ASIDE, Level.NONE, "known"),
    ],
)
def test_level_of_sighting(kind: Kind, protected: bool, box: Any, level: Level, reason: str) -> None:
    assert level_of_sighting(region(kind, box), protected, (300, 200), SITE) == (level, (reason,))


EVERY_TRACK = [
    at(x, y, vy, kind=kind, protected=protected, confirmed=confirmed, faint=faint)
    for kind, protected, confirmed, faint, x, y, vy in itertools.product(
        Kind, (False, True), (False, True), (False, True), (1, 20, 35, 100), (0, 5), (0, -2)
    )
]
EVERY_SIGHTING = list(itertools.product(Kind, (False, True), (MIDDLE, ASIDE)))


def test_every_combination_has_an_answer_and_every_row_a_use() -> None:
    used = {level_of_track(seen, SITE)[1][0] for seen in EVERY_TRACK}
    used |= {level_of_sighting(region(k, box), p, (300, 200), SITE)[1][0] for k, p, box in EVERY_SIGHTING}
    assert used == {rule.reason for rule in RULES}


@pytest.mark.parametrize("seen", EVERY_TRACK)
def test_a_protected_class_never_lowers_a_level(seen: Track) -> None:
    plain, person = (level_of_track(dataclasses.replace(seen, protected=p), SITE)[0] for p in (False, True))
    assert person >= plain


def test_an_unknown_is_never_silent_and_nearer_is_never_lower() -> None:
    levels = [level_of_track(at(x / 4), SITE)[0] for x in range(1, 400)]
    assert min(levels) >= Level.NOTICE
    assert levels == sorted(levels, reverse=True)


def test_distances_follow_from_speed_and_brakes() -> None:
    assert SITE.stop_distance_m == pytest.approx(25 / 3.6 + (25 / 3.6) ** 2 / 6)
    assert SITE.slow_distance_m == pytest.approx(27.0, abs=0.1)  # 20.1 m at 1.2 m/s2 and one second of reaction
    assert SITE.caution_distance_m == pytest.approx(27.0 + 2 * 25 / 3.6, abs=0.1)
    slow = dataclasses.replace(SITE, zone="stand")
    assert (slow.stop_distance_m, slow.slow_distance_m) == (3.0, 3.0)  # at 6 km/h: never shorter than 3 m
    fast = dataclasses.replace(SITE, zones=(ZoneConfig("road", 50.0, 3.0),))
    assert fast.stop_distance_m > SITE.slow_distance_m
    assert [level_of_track(at(x), slow)[0] for x in (2.9, 6.0, 6.5)] == [4, 2, 1]
    assert level_of_track(at(10, 2.5), fast)[0] is Level.STOP


@pytest.mark.parametrize(
    ("box", "reaches"),
    [
        ((100, 50, 200, 150), True),
        ((0, 0, 300, 200), True),
        ((100, 0, 200, 133), False),  # ends above the lowest third (of 200)
        ((0, 100, 100, 200), False),  # ends where the middle third (of 300) begins
        ((200, 100, 300, 200), False),
        ((199, 100, 300, 200), True),
    ],
)
def test_reaches_lower_middle(box: tuple[float, float, float, float], reaches: bool) -> None:
    assert reaches_lower_middle(box, 300, 200) is reaches
