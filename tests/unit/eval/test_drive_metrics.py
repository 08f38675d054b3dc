import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airside.messages import Kind, Level, Region, Sighting
from eval.metrics import drive
from eval.metrics.drive import (
    approach_of,
    false_alert_rates,
    false_tracks,
    first_alert_table,
    identity_switches,
    position_errors,
    recall,
    tick_times,
    times_to_first_alert,
    told_as,
    unknown_alerts,
)
from eval.metrics.intervals import poisson, wilson
from eval.metrics.polygons import distance_to_polygon_m, near_side_of
from tests.drive_data import alert_at, drive_result, true_object
from tests.records import tick_record

SQUARE = ((10.0, -1.0), (12.0, -1.0), (12.0, 1.0), (10.0, 1.0))


# --- polygons and intervals


@pytest.mark.parametrize(
    ("point", "expected"),
    [((0, 0), 10.0), ((11, 0), 0.0), ((10, 1), 0.0), ((11, 3), 2.0), ((13, 2), np.hypot(1, 1)), ((20, 0.5), 8.0)],
)
def test_distance_to_a_polygon_is_that_of_its_nearest_point(point, expected):
    assert distance_to_polygon_m(point, SQUARE) == pytest.approx(expected)
    assert distance_to_polygon_m(point, SQUARE[::-1]) == pytest.approx(expected)


def test_the_near_side_lies_on_the_line_to_the_middle_of_what_is_covered():
    assert near_side_of(SQUARE) == pytest.approx((10.0, 0.0))
    left = np.array(SQUARE) @ np.array([[0.0, 1.0], [-1.0, 0.0]])  # turned by a quarter to the left
    assert near_side_of(left) == pytest.approx((0.0, 10.0))
    assert near_side_of(((-1, -1), (1, -1), (1, 1), (-1, 1))) == (0.0, 0.0)


@given(st.floats(-3.1, 3.1), st.floats(3, 60), st.floats(-3, 3), st.floats(0.2, 4), st.floats(0.2, 2))
def test_the_near_side_is_on_the_edge_and_nearer_than_the_middle(bearing, range_m, yaw, length, width):
    local = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * (length / 2, width / 2)
    c, s = np.cos(yaw), np.sin(yaw)
    corners = local @ np.array([[c, s], [-s, c]]) + range_m * np.array([np.cos(bearing), np.sin(bearing)])
    if distance_to_polygon_m((0.0, 0.0), corners) < 0.1:
        return
    near = near_side_of(corners)
    assert distance_to_polygon_m(near, corners) < 1e-6
    assert distance_to_polygon_m((0.0, 0.0), corners) - 1e-9 <= np.hypot(*near) <= range_m + length


def test_wilson_gives_the_published_values():
    assert wilson(19, 20) == pytest.approx((0.7639, 0.9911), abs=2e-4)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(20, 20)[1] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="hits out of tries"):
        wilson(3, 2)


def test_poisson_gives_the_published_values():
    assert poisson(0) == pytest.approx((0.0, 3.689), abs=1e-3)
    assert poisson(1) == pytest.approx((0.02532, 5.5716), abs=1e-3)
    with pytest.raises(ValueError, match="not negative"):
        poisson(-1)


# --- which alert means what


def test_an_alert_means_an_object_within_a_metre_and_a_half_or_15_percent_of_the_range():
    near, far = true_object(8.0), true_object(40.0)
    assert unknown_alerts(tick_record(alerts=(alert_at(6.6),)), [near]) != {}
    assert unknown_alerts(tick_record(alerts=(alert_at(6.4),)), [near]) == {}
    assert unknown_alerts(tick_record(alerts=(alert_at(34.5),)), [far]) != {}
    assert unknown_alerts(tick_record(alerts=(alert_at(33.5),)), [far]) == {}


def test_known_tracks_and_known_things_are_no_matches():
    known = tick_record(alerts=(alert_at(9.5, kind=Kind.KNOWN),))
    assert unknown_alerts(known, [true_object(9.5)]) == {}
    assert unknown_alerts(tick_record(alerts=(alert_at(9.5),)), [true_object(9.5, unknown=False)]) == {}


def test_an_alert_between_two_objects_means_the_nearer_one():
    truths = [true_object(10.0, -1.5, side_m=1.0), true_object(10.0, 1.5, side_m=1.0, thing=1)]
    assert list(unknown_alerts(tick_record(alerts=(alert_at(10.0, 0.4),)), truths)) == [1]


# --- approaches


def _approach(ranges, levels, **changes):
    alerts = [(alert_at(r, level=level, **changes),) if level else () for r, level in zip(ranges, levels, strict=True)]
    return drive_result([(true_object(r),) for r in ranges], alerts)


def test_the_first_level_2_alert_counts_at_its_true_range():
    result = _approach((60, 45, 38, 30, 20), (None, Level.NOTICE, Level.CAUTION, Level.CAUTION, Level.SLOW_STOP))
    approach = approach_of(result)
    assert (approach.first_alert_m, approach.level2_m, approach.confirmed_m) == (45, 38, 45)
    assert approach.in_time
    assert approach.size == ">=1.5m"


def test_a_late_alert_and_none_are_not_in_time():
    late = approach_of(_approach((30, 26.9), (None, Level.STOP)))
    never = approach_of(_approach((30, 20), (None, None)))
    assert late.level2_m == 26.9
    assert not late.in_time
    assert never.level2_m is None
    assert not never.in_time
    table = first_alert_table([late, never, approach_of(_approach((30, 20), (Level.CAUTION, None)))])
    row = table["day >=1.5m"]
    assert (row["approaches"], row["before_27_m"], row["never"], row["median_m"]) == (3, 1, 1, 26.9)
    assert row["low"] < 1 / 3 < row["high"]


def test_an_alert_before_the_object_is_on_the_path_does_not_count():
    truths = [(true_object(35.0, 6.0),), (true_object(30.0, 0.0),)]
    result = drive_result(truths, [(alert_at(35.0, 6.0, Level.CAUTION),), ()])
    assert approach_of(result).level2_m is None


def test_nothing_unknown_on_the_path_is_no_approach():
    assert approach_of(drive_result([(true_object(20, 8.0),)], [()])) is None


# --- positions, waiting, numbers, recall


def test_position_errors_are_along_and_across_the_line_of_sight():
    result = drive_result([(true_object(10.0),), (true_object(30.0),)], [(alert_at(11.0, 0.3),), (alert_at(30.0),)])
    found = position_errors([result])
    assert found["ticks"] == 1  # beyond 20 m nothing is judged
    assert found["lateral_m"] == pytest.approx(0.3)
    assert found["median_relative"] == pytest.approx(np.hypot(11, 0.3) / 10 - 1)
    assert position_errors([drive_result([()], [()])])["median_relative"] is None


def test_positions_of_unconfirmed_tracks_are_not_judged():
    result = drive_result([(true_object(10.0),)], [(alert_at(11.0, confirmed=False),)])
    assert position_errors([result])["ticks"] == 0


def test_the_wait_starts_when_four_patches_are_seen():
    truths = [(true_object(40 - k, patches=(2.0 + k,)),) for k in range(6)]
    alerts = [() if k < 5 else (alert_at(40 - k),) for k in range(6)]
    assert times_to_first_alert([drive_result(truths, alerts)])["median_s"] == pytest.approx(3 * 0.2)
    nothing = times_to_first_alert([drive_result(truths, [()] * 6)])
    assert (nothing["never"], nothing["median_s"]) == (1, None)


def test_a_changed_number_is_a_switch_and_a_gap_is_none():
    truths = [(true_object(20.0),)] * 4
    same = [(alert_at(20, id=7),), (), (alert_at(20, id=7),), (alert_at(20, id=7),)]
    other = [(alert_at(20, id=7),), (), (alert_at(20, id=8),), (alert_at(20, id=7),)]
    both = [(alert_at(20, id=7),), (alert_at(20, id=8), alert_at(19.5, id=7)), (alert_at(20, id=7),), ()]
    assert identity_switches([drive_result(truths, same)])["switches"] == 0
    assert identity_switches([drive_result(truths, other)])["switches"] == 2
    assert identity_switches([drive_result(truths, both)])["switches"] == 0


def test_recall_goes_by_range_and_by_patches():
    truths = [
        (true_object(8.0, patches=(60.0,)),),
        (true_object(25.0, patches=(8.0,)),),
        (true_object(50, patches=(3,)),),
    ]
    found = recall([drive_result(truths, [(alert_at(8.0),), (), ()])])
    assert found["by_range"]["0-10"] == {"found": 1, "shown": 1, "recall": 1.0}
    assert found["by_range"]["20-27"]["recall"] == 0.0
    assert found["by_range"]["40-60"] == {"found": 0, "shown": 0, "recall": None}  # under four patches
    assert found["by_patches"]["51+"]["found"] == found["by_patches"]["4-9"]["shown"] == 1


def seen_as(kind, box, nearest="baggage_tractor"):
    region = Region(kind, nearest, 0.8, 0.2, 9.0, box, np.zeros((0, 2), np.float32))
    return tick_record(sightings=(Sighting("front", region, None, Level.NONE, ()),))


def test_what_pictures_call_an_unknown_thing_is_counted_by_family():
    there, away = (110.0, 90.0, 170.0, 130.0), (10.0, 10.0, 40.0, 40.0)
    records = [seen_as(Kind.UNKNOWN, there), seen_as(Kind.KNOWN, there), seen_as(Kind.KNOWN, away), tick_record()]
    small = (true_object(20.0, patches=(5.0,)),)
    result = drive_result([(true_object(20.0),)] * 4 + [small], [()] * 5)
    result = dataclasses.replace(result, records=[*records, seen_as(Kind.KNOWN, there)])
    row = told_as([result])["forklift"]
    assert row == {
        "pictures": 4, "recall": 0.25, "called": {"nothing": 2, "unknown": 1, "baggage_tractor": 1},
    }  # fmt: skip


# --- false alerts


def test_a_track_that_means_nothing_counts_once_at_each_level_it_reaches():
    truths = [(true_object(20.0),)] * 4
    alerts = [
        (alert_at(9, 5, Level.NOTICE, id=3),), (alert_at(9, 5, Level.NOTICE, id=3),),
        (alert_at(9, 1, Level.STOP, id=3), alert_at(20, id=4)), (),
    ]  # fmt: skip
    rates = false_alert_rates([drive_result(truths, alerts)])
    assert rates["episodes"] == {"level1": 1, "level2": 0, "level3": 0, "level4": 1, "level3_or_4": 1}
    assert rates["hours"] == pytest.approx(4 * 0.2 / 3600)
    assert rates["level4"] == pytest.approx(1 / rates["hours"])
    assert rates["interval"]["level2"][0] == 0 < rates["interval"]["level2"][1]


def test_a_known_thing_called_unknown_is_a_false_alert_and_says_which():
    truths = [(true_object(20.0, unknown=False, family="bus"),)]
    (track,) = false_tracks(drive_result(truths, [(alert_at(20.0),)]))
    assert (track.cause, track.levels) == ("bus", frozenset({Level.CAUTION}))


def test_a_track_right_at_one_tick_of_a_level_is_no_false_alert_of_that_level():
    truths = [(true_object(20.0),)] * 2
    assert false_tracks(drive_result(truths, [(alert_at(12.0),), (alert_at(20.0),)])) == []


def test_a_person_told_as_one_is_right_and_a_person_who_is_not_there_is_wrong():
    person = true_object(9.0, unknown=False, protected=True, family="person")
    told = (alert_at(9.0, level=Level.NOTICE, kind=Kind.KNOWN, protected=True),)
    assert false_tracks(drive_result([(person,)], [told])) == []
    assert len(false_tracks(drive_result([()], [told]))) == 1


def test_known_tracks_without_a_level_are_no_alerts():
    assert false_tracks(drive_result([()], [(alert_at(9.0, level=Level.NONE, kind=Kind.KNOWN),)])) == []


# --- ticks


def test_tick_times_leave_the_first_out():
    result = drive_result([()] * 3, [()] * 3)
    for record, took in zip(result.records, (900.0, 100.0, 300.0), strict=True):
        record.timing_ms["network"] = took
    assert tick_times([result], 200.0) == {
        "ticks": 2, "within_limit": 0.5, "p50_ms": 200.0, "p99_ms": pytest.approx(298.0),
    }  # fmt: skip


def test_a_drive_without_a_record_for_every_tick_is_refused():
    with pytest.raises(ValueError, match="1 records of 2 ticks"):
        drive_result([(), ()], [()])


def test_the_tolerance_is_the_published_one():
    assert (drive._LEAST_M, drive._OF_RANGE, drive.STOPS_IN_M) == (1.5, 0.15, 27.0)
