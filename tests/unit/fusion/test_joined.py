"""One object whatever number of cameras sees it, and never two of one picture made one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from airside.fusion.joined import joined
from airside.messages import Kind, Level, Placement, RangeSource, Region, Sighting


def sighting(
    camera: str,
    x_m: float,
    y_m: float,
    sigma_m: tuple[float, float] = (0.5, 0.2),
    *,
    patches: float = 9.0,
    kind: Kind = Kind.UNKNOWN,
    name: str = "cone",
    width_m: float = 2.0,
    faint: bool = False,
) -> Sighting:
    """``sigma_m`` along x and y."""
    region = Region(kind, name, 0.4, 0.9, patches, (0, 0, 9, 9), np.zeros((0, 2), np.float32), faint)
    half_m = width_m / 2
    corners = ((x_m, y_m - half_m), (x_m, y_m + half_m), (x_m + 1, y_m + half_m))
    covariance = (sigma_m[0] ** 2, 0.0, sigma_m[1] ** 2)
    place = Placement(math.hypot(x_m, y_m), math.atan2(y_m, x_m), (x_m, y_m, 0.0), RangeSource.BOTH, corners,
                      covariance, 1.5)  # fmt: skip
    return Sighting(camera, region, place, Level.NONE, ())


def test_two_cameras_one_object_weighted_by_what_each_knows() -> None:
    (found,) = joined([sighting("narrow", 20, 0, (0.5, 0.2)), sighting("wide", 22, 0.5, (2.0, 0.4))], ())
    assert set(found.cameras) == {"narrow", "wide"}
    assert found.xy_m[0] == pytest.approx((20 / 0.25 + 22 / 4) / (1 / 0.25 + 1 / 4), abs=0.01)
    assert found.xy_m[1] == pytest.approx((0 / 0.04 + 0.5 / 0.16) / (1 / 0.04 + 1 / 0.16), abs=0.01)
    assert np.diag(found.covariance_m2)[0] < 0.25
    assert found.footprint_xy_m[0] == pytest.approx((found.xy_m[0], found.xy_m[1] - 1))


def test_what_is_far_apart_is_two() -> None:
    assert len(joined([sighting("left", 20, 0), sighting("front", 20, 5)], ())) == 2
    assert len(joined([sighting("left", 10, 0, (9, 9)), sighting("front", 15, 0, (9, 9))], ())) == 2  # however vague


def test_two_regions_of_one_picture_stay_two() -> None:
    found = joined([sighting("front", 20, 0), sighting("front", 20.1, 0), sighting("left", 20, 0)], ())
    assert sorted(len(o.cameras) for o in found) == [1, 2]


def test_the_camera_that_sees_it_largest_says_what_it_is() -> None:
    known = sighting("narrow", 20, 0, patches=30, kind=Kind.KNOWN, name="person")
    (found,) = joined([sighting("wide", 20, 0, patches=4), known], {"person"})
    assert (found.kind, found.nearest_class, found.protected) == (Kind.KNOWN, "person", True)
    assert found.sightings == (1, 0)


def test_a_known_thing_swallows_no_small_unknown_one_that_another_camera_sees() -> None:
    aircraft = sighting("wide", 22, 0, (2.0, 1.0), patches=76, kind=Kind.KNOWN, name="aircraft", width_m=14.0)
    drum, part = (sighting("narrow", 19.5, 0.5, patches=6, width_m=1.0, faint=faint) for faint in (False, True))
    assert [(o.kind, o.cameras) for o in joined([aircraft, drum], ())] == [
        (Kind.KNOWN, ("wide",)), (Kind.UNKNOWN, ("narrow",))
    ]  # fmt: skip
    assert len(joined([aircraft, part], ())) == 1
    large = sighting("narrow", 19.5, 0.5, patches=90, width_m=1.0)  # and the other way round
    assert sorted(o.kind for o in joined([aircraft, large], ())) == [Kind.KNOWN, Kind.UNKNOWN]
    assert len(joined([aircraft, sighting("narrow", 19.5, 0.5, patches=6, width_m=6.0)], ())) == 1


def test_without_a_place_there_is_no_object() -> None:
    region = sighting("front", 1, 1).region
    assert joined([Sighting("front", region, None, Level.NONE, ())], ()) == ()
    assert joined([], ()) == ()


def test_a_covariance_that_was_not_told_is_no_error() -> None:
    one, other = (sighting(camera, 20, 0, (0.0, 0.0)) for camera in ("left", "front"))
    assert len(joined([one, other], ())) == 1
