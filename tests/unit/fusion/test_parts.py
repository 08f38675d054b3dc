"""A part of a known thing alarms nobody by itself; what stands before one does."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from airside.fusion.joined import joined
from airside.fusion.parts import parts_of_known
from airside.messages import Box, Kind, Level, Placement, RangeSource, Region, Sighting

STAIRS: Box = (100, 50, 400, 300)
BOX_ON_THEM: Box = (200, 100, 350, 290)


def sighting(kind: Kind, box: Box, range_m: float = 20.0, *, camera: str = "ahead", lateral_m: float = 0.0) -> Sighting:
    region = Region(kind, "passenger_stairs", 0.4, 0.9, 9.0, box, np.zeros((0, 2), np.float32))
    place = Placement(
        math.hypot(range_m, lateral_m), math.atan2(lateral_m, range_m), (range_m, lateral_m, 0.0),
        RangeSource.BOTH, (), (0.01, 0.0, 0.01), 1.5,
    )  # fmt: skip
    return Sighting(camera, region, place, Level.NONE, ())


def stairs(camera: str = "ahead") -> Sighting:
    return sighting(Kind.KNOWN, STAIRS, camera=camera)


def test_what_a_known_thing_surrounds_and_precedes_is_its_part_and_faint() -> None:
    seen = [stairs(), sighting(Kind.UNKNOWN, BOX_ON_THEM, 21.0)]
    assert parts_of_known(seen) == {1}
    assert {o.kind: o.faint for o in joined(seen, ())} == {Kind.KNOWN: False, Kind.UNKNOWN: True}


@pytest.mark.parametrize(
    ("box", "range_m"),
    [
        pytest.param((200, 100, 350, 300), 21.0, id="its foot is the lower one: it stands before the stairs"),
        pytest.param(BOX_ON_THEM, 17.9, id="more than a tenth nearer"),
        pytest.param((200, 240, 259, 290), 21.0, id="a cone: less than a fifth as wide"),
        pytest.param((50, 100, 250, 290), 21.0, id="a quarter of it beside the stairs"),
        pytest.param((200, 0, 350, 290), 21.0, id="a sixth of it above the stairs"),
    ],
)
def test_everything_else_stays_a_thing_of_its_own(box: Box, range_m: float) -> None:
    seen = [stairs(), sighting(Kind.UNKNOWN, box, range_m)]
    assert parts_of_known(seen) == frozenset()
    assert not any(o.faint for o in joined(seen, ()))


def test_what_is_larger_than_the_thing_around_it_is_no_part() -> None:
    odd = sighting(Kind.UNKNOWN, BOX_ON_THEM, 21.0)
    larger = replace(odd, region=replace(odd.region, patches=10.0))
    assert parts_of_known([stairs(), larger]) == frozenset()


def test_pictures_of_other_cameras_surround_nothing() -> None:
    assert parts_of_known([stairs("left"), sighting(Kind.UNKNOWN, BOX_ON_THEM, 21.0)]) == frozenset()


def test_an_unknown_thing_makes_no_part() -> None:
    assert parts_of_known([sighting(Kind.UNKNOWN, STAIRS), sighting(Kind.UNKNOWN, BOX_ON_THEM, 21.0)]) == frozenset()


def test_another_camera_that_sees_it_clear_of_everything_makes_it_distinct() -> None:
    seen = [
        stairs(),
        sighting(Kind.UNKNOWN, BOX_ON_THEM, 21.0),
        sighting(Kind.UNKNOWN, BOX_ON_THEM, 21.0, camera="left"),
    ]
    (odd,) = [o for o in joined(seen, ()) if o.kind is Kind.UNKNOWN]
    assert odd.cameras == ("ahead", "left")
    assert not odd.faint


def test_a_thing_without_a_place_is_none_and_has_none() -> None:
    nowhere = Sighting("ahead", stairs().region, None, Level.NONE, ())
    assert parts_of_known([nowhere, sighting(Kind.UNKNOWN, BOX_ON_THEM, 21.0)]) == frozenset()


def test_a_faint_unknown_joined_with_a_smaller_known_stays_faint() -> None:
    region = Region(Kind.UNKNOWN, "cone", 0.4, 0.9, 9.0, BOX_ON_THEM, np.zeros((0, 2), np.float32), faint=True)
    place = sighting(Kind.UNKNOWN, BOX_ON_THEM).placement
    small = Region(Kind.KNOWN, "cone", 0.7, 0.1, 4.0, BOX_ON_THEM, np.zeros((0, 2), np.float32))
    both = [Sighting("ahead", region, place, Level.NONE, ()), Sighting("left", small, place, Level.NONE, ())]
    (found,) = joined(both, ())
    assert found.kind is Kind.UNKNOWN
    assert found.faint
