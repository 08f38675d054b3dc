"""The rule table, reviewed as data and asked about every combination."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest

from airside.alerts import rules
from airside.alerts.rules import RULES, level_for, reaches_lower_middle
from airside.config import SiteConfig
from airside.messages import Kind, Level, Placement

SITE = SiteConfig()  # 2 m half width; 15, 27, 40 m


def at(x: float, y: float = 0.0) -> Placement:
    return Placement(math.hypot(x, y), math.atan2(y, x), (x, y, 0.0))


@pytest.mark.parametrize(
    ("kind", "protected", "placement", "lower_middle", "level", "reason"),
    [
        (Kind.UNKNOWN, False, at(3), True, Level.STOP, "unknown_in_stop_distance"),
        (Kind.UNKNOWN, False, at(15), False, Level.STOP, "unknown_in_stop_distance"),
        (Kind.UNKNOWN, False, at(15.01), False, Level.SLOW_STOP, "unknown_in_slow_distance"),
        (Kind.UNKNOWN, False, at(27.01), False, Level.CAUTION, "unknown_in_caution_distance"),
        (Kind.UNKNOWN, False, at(40.01), True, Level.NOTICE, "unknown_elsewhere"),
        (Kind.UNKNOWN, False, at(3, 2.0), False, Level.STOP, "unknown_in_stop_distance"),
        (Kind.UNKNOWN, False, at(3, -2.01), True, Level.NOTICE, "unknown_elsewhere"),
        (Kind.UNKNOWN, False, at(-5, 1), True, Level.STOP, "unknown_in_stop_distance"),  # behind is path too
        (Kind.UNKNOWN, False, None, True, Level.CAUTION, "unknown_ahead_range_unknown"),
        (Kind.UNKNOWN, False, None, False, Level.NOTICE, "unknown_elsewhere"),
        (Kind.KNOWN, False, at(3), True, Level.NONE, "known"),
        (Kind.KNOWN, False, None, True, Level.NONE, "known"),
        (Kind.KNOWN, True, at(3), True, Level.NOTICE, "person_in_stop_distance"),
        (Kind.KNOWN, True, at(15.01), True, Level.NONE, "known"),
        (Kind.KNOWN, True, at(3, 5), True, Level.NONE, "known"),
        (Kind.KNOWN, True, None, True, Level.NOTICE, "person_ahead_range_unknown"),
        (Kind.KNOWN, True, None, False, Level.NONE, "known"),
    ],
)
def test_level_for(
    kind: Kind, protected: bool, placement: Placement | None, lower_middle: bool, level: Level, reason: str
) -> None:
    assert level_for(kind, protected, placement, lower_middle, SITE) == (level, (reason,))


EVERY_CASE = list(
    itertools.product(
        Kind, (False, True), (None, *(at(x, y) for x in (1, 20, 35, 100) for y in (0, 10))), (False, True)
    )
)


def test_every_combination_has_an_answer_and_every_row_a_use() -> None:
    used = {level_for(*case, SITE)[1][0] for case in EVERY_CASE}
    assert used == {rule.reason for rule in RULES}


@pytest.mark.parametrize("placement", [None, at(1), at(20), at(35), at(20, 10)])
@pytest.mark.parametrize("lower_middle", [False, True])
@pytest.mark.parametrize("kind", list(Kind))
def test_a_protected_class_never_lowers_a_level(kind: Kind, placement: Placement | None, lower_middle: bool) -> None:
    plain, _ = level_for(kind, False, placement, lower_middle, SITE)
    protected, _ = level_for(kind, True, placement, lower_middle, SITE)
    assert protected >= plain


def test_an_unknown_is_never_silent_and_nearer_is_never_lower() -> None:
    levels = [level_for(Kind.UNKNOWN, False, at(x / 4), False, SITE)[0] for x in range(1, 400)]
    assert min(levels) >= Level.NOTICE
    assert levels == sorted(levels, reverse=True)


def test_distances_are_the_sites() -> None:
    site = dataclasses.replace(SITE, stop_distance_m=5.0, slow_distance_m=6.0, caution_distance_m=7.0)
    assert [level_for(Kind.UNKNOWN, False, at(x), False, site)[0] for x in (4.9, 5.9, 6.9, 7.1)] == [4, 3, 2, 1]


def test_the_table_as_data() -> None:
    names = {field.name for field in dataclasses.fields(SiteConfig)}
    assert len({rule.name for rule in RULES}) == len({rule.reason for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.within is None or rule.within in names
        assert rule.within is None or rule.ranged
        assert rule.kind is Kind.KNOWN or rule.protected is None  # what an unknown resembles decides nothing
        assert rule.kind is Kind.KNOWN or rule.level >= Level.NOTICE
        assert rule.kind is Kind.UNKNOWN or rule.level <= Level.NOTICE
    for kind in Kind:  # the last row of each kind takes everything that is left
        last = [rule for rule in RULES if rule.kind is kind][-1]
        assert (last.protected, last.ranged, last.in_corridor, last.within, last.in_lower_middle) == (None,) * 5


def test_a_table_with_a_hole_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "RULES", RULES[:1])
    with pytest.raises(AssertionError, match="no row"):
        level_for(Kind.KNOWN, False, None, False, SITE)


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
