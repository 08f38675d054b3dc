"""Drives over the simulator's apron: the way, what stands on it and what must not. Nothing is rendered."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from airside.errors import UsageError
from training.apron_drives import (
    APPROACH_ENDS_M,
    APPROACH_FROM_M,
    RAIN_AT_LEAST,
    SEED_DRIVES,
    TICK_S,
    DrivePlan,
    DriveScene,
    drive_scene,
    footprint_of,
)
from training.apron_paths import Arc, Path, distance_m
from training.bev_truth import Footprint
from training.rig_frames import VehiclePose

PLANS = {
    "approach": DrivePlan("approach", 7, "wet", 25.0, "apron6", "fallen_barrier"),
    "crossing": DrivePlan("crossing", 2, "day", 25.0, "apron6", "inspection_robot"),
    "parked": DrivePlan("parked", 3, "night", 10.0, "apron6", "oil_drum"),
    "stand": DrivePlan("stand", 1, "day", 10.0, "apron6", "hand_cart"),
    "clean": DrivePlan("clean", 5, "day", 25.0, "apron6"),
}


@cache
def scene(kind: str) -> DriveScene:
    return drive_scene(PLANS[kind])


def at(s: DriveScene, thing: int, tick: int) -> Footprint:
    return footprint_of(s.world, s.things[thing].at_s(tick * TICK_S))


# --- ways


def test_a_straight_way_goes_straight_on_beyond_its_end() -> None:
    path = Path(VehiclePose(3.0, 4.0, math.pi / 2), (Arc(10.0),), 5.0)
    assert (path.at_s(1.0).x_m, path.at_s(1.0).y_m) == pytest.approx((3.0, 9.0))
    assert path.at_m(25.0).y_m == pytest.approx(29.0)


def test_a_bend_is_a_circle() -> None:
    path = Path(VehiclePose(0.0, 0.0, 0.0), (Arc(10.0 * math.pi, math.pi),), 1.0)  # a half circle of radius 10
    middle, end = path.at_m(5 * math.pi), path.at_m(10 * math.pi)
    assert (middle.x_m, middle.y_m, middle.yaw_rad) == pytest.approx((10.0, 10.0, math.pi / 2))
    assert (end.x_m, end.y_m, end.yaw_rad) == pytest.approx((0.0, 20.0, math.pi))
    beyond = path.at_m(10 * math.pi + 5)
    assert (beyond.x_m, beyond.y_m) == pytest.approx((-5.0, 20.0))


def test_the_distance_to_a_rectangle_is_that_of_its_nearest_point() -> None:
    box = Footprint(10.0, 0.0, math.pi / 2, 4.0, 2.0)  # from (9, -2) to (11, 2)
    assert distance_m(box, np.array([[0.0, 0.0], [10.0, 0.0], [12.0, 3.0]])) == pytest.approx([9.0, 0.0, math.sqrt(2)])


# --- layouts


@pytest.mark.parametrize("kind", list(PLANS))
def test_only_the_object_meant_to_is_ever_near_the_way(kind: str) -> None:
    s = scene(kind)
    for number, thing in enumerate(s.things):
        if thing.item.slot == s.unknown_slot and kind in ("approach", "crossing"):
            continue
        for tick in range(0, s.ticks, 3):
            assert s.path.clear_of_m(at(s, number, tick)) > 2.5, (thing, tick)


@pytest.mark.parametrize("kind", list(PLANS))
def test_nothing_stands_in_anything_else_and_all_on_tarmac(kind: str) -> None:
    s = scene(kind)
    whole = [(n, at(s, n, 0)) for n, t in enumerate(s.things) if "aircraft" not in s.world.assets[t.item.slot].family]
    for k, (number, one) in enumerate(whole):
        assert s.site.drivable(np.array([one.x_m, one.y_m])), number
        for other_number, other in whole[k + 1 :]:
            assert one.gap_m(other) > 0.3, (number, other_number)


@pytest.mark.parametrize("kind", list(PLANS))
def test_the_vehicle_stays_on_the_drivable_ground(kind: str) -> None:
    s = scene(kind)
    poses = [s.path.at_s(tick * TICK_S) for tick in range(s.ticks)]
    assert s.site.drivable(np.array([[pose.x_m, pose.y_m] for pose in poses])).all()


def test_an_approach_comes_from_far_and_ends_near_what_stands_on_the_path() -> None:
    s = scene("approach")
    assert s.things[0].velocity_mps == (0.0, 0.0)
    assert s.things[0].item.slot == s.unknown_slot
    gaps = [
        float(distance_m(at(s, 0, tick), np.array([pose.x_m, pose.y_m])))
        for tick, pose in ((t, s.path.at_s(t * TICK_S)) for t in (0, s.ticks - 1))
    ]
    assert gaps[0] == pytest.approx(APPROACH_FROM_M, abs=1.5)
    assert APPROACH_ENDS_M - 1.0 < gaps[1] < APPROACH_ENDS_M + 3.0
    assert s.path.clear_of_m(at(s, 0, 0)) > 0  # it is never reached
    ahead = Path(s.path.start, (Arc(100.0),), 1.0)
    assert ahead.clear_of_m(at(s, 0, 0)) < 1.0


def test_what_crosses_is_before_the_vehicle_in_the_middle_of_the_path_and_away_in_the_end() -> None:
    s = scene("crossing")
    ahead = Path(s.path.start, (Arc(200.0),), 1.0)
    off = [ahead.clear_of_m(at(s, 0, tick)) for tick in range(s.ticks)]
    assert off[0] > 3.0
    nearest = int(np.argmin(off))
    assert off[nearest] == 0.0
    pose = s.path.at_s(nearest * TICK_S)
    assert 8.0 < float(distance_m(at(s, 0, nearest), np.array([pose.x_m, pose.y_m]))) < 30.0
    for tick in range(s.ticks):
        pose = s.path.at_s(tick * TICK_S)
        assert float(distance_m(at(s, 0, tick), np.array([pose.x_m, pose.y_m]))) > 2.0


def test_a_clean_drive_has_nothing_unknown_and_lasts_as_long_as_told() -> None:
    s = scene("clean")
    assert s.unknown_slot == -1
    assert s.ticks == round(30 / TICK_S)
    assert len(s.things) > 12


def test_a_stand_is_full_of_equipment() -> None:
    s = scene("stand")
    families = {s.world.assets[thing.item.slot].family for thing in s.things}
    assert "aircraft_medium" in families
    assert len(families & {"belt_loader", "cargo_loader", "passenger_stairs", "catering_truck", "fuel_bowser"}) >= 3


def test_in_rain_drops_fall() -> None:
    assert scene("approach").conditions.wet >= RAIN_AT_LEAST


def test_the_same_plan_gives_the_same_drive() -> None:
    again = drive_scene(PLANS["clean"])
    assert again.things == scene("clean").things
    assert again.path == scene("clean").path
    assert again.conditions == scene("clean").conditions


def test_drives_share_no_seed_with_training_bank_or_benchmark() -> None:
    from eval.apron_protocol import SEED_BEV, SEED_BEV_DEV, SEED_CORRUPTION, SEED_DEV
    from eval.road.robustness import SEED as SEED_ROAD
    from training.apron import frames
    from training.pictures import SEED_TRAIN

    others = {value for name, value in vars(frames).items() if name.startswith("SEED_")}
    others |= {SEED_TRAIN, SEED_DEV, SEED_DEV + 1, SEED_CORRUPTION, SEED_BEV, SEED_BEV_DEV, SEED_ROAD}
    assert SEED_DRIVES not in others


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "flying"}, "there are: approach"),
        ({"condition": "hail"}, "the simulator has: day"),
        ({"unknown": "bus"}, "one of baggage_robot"),
        ({"unknown": ""}, "a approach drive with nothing unknown"),
        ({"kind": "clean"}, "clean drives have nothing unknown"),
        ({"speed_kmh": 0.0}, "a speed and a duration"),
    ],
)
def test_a_plan_that_is_none_says_why(change: dict, message: str) -> None:
    plain = {
        "kind": "approach",
        "number": 0,
        "condition": "day",
        "speed_kmh": 25.0,
        "rig": "apron6",
        "unknown": "animal",
    }
    with pytest.raises(UsageError, match=message):
        DrivePlan(**(plain | change))
