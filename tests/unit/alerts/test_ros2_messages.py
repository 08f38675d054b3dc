"""Records as ROS 2 messages: every field where a planner looks for it, and the same after the way over CDR."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest

from airside.alerts.jsonl import json_line
from airside.alerts.prediction import predict_record
from airside.alerts.ros2_messages import (
    NO_EXTENT_M,
    detected_objects,
    detections,
    diagnostics,
    holds_at_ns,
    occupancy_grid,
    tick_text,
)
from airside.alerts.ros2_types import DETECTIONS, DIAGNOSTICS, GRID, OBJECTS, TEXT, ros2_types
from airside.alerts.zenoh_ros2 import messages_of
from airside.errors import CorruptError, InputError
from airside.messages import (
    CameraStatus,
    Health,
    HealthState,
    Kind,
    Level,
    Occupancy,
    Region,
    Sighting,
)
from tests.records import alert, random_record, tick_record

TYPES = ros2_types()
OFFSET_NS = 1_700_000_000_000_000_000
# 4 m long along a direction of 30 degrees, 2 m wide, its middle at (10, 1).
C, S = math.cos(math.pi / 6), math.sin(math.pi / 6)
TURNED = tuple((10 + C * u - S * v, 1 + S * u + C * v) for u, v in ((2, 1), (-2, 1), (-2, -1), (2, -1)))


def over_the_wire(message: Any) -> Any:
    return TYPES.decode(TYPES.encode(message), message.__msgtype__)


def values_of(message: Any) -> dict[str, dict[str, str]]:
    return {status.name: {pair.key: pair.value for pair in status.values} for status in message.status}


def test_a_detection() -> None:
    record = tick_record(capture_ns=1_500_000_001, alerts=(alert(id=7, footprint_xy_m=TURNED, height_m=1.5),))
    made = over_the_wire(detections(TYPES, record, OFFSET_NS))
    assert made.header.frame_id == "base_link"
    assert (made.header.stamp.sec, made.header.stamp.nanosec) == (1_700_000_001, 500_000_001)
    (one,) = made.detections
    assert one.header == made.header
    assert one.id == "7"
    centre, size = one.bbox.center, one.bbox.size
    assert (centre.position.x, centre.position.y, centre.position.z) == pytest.approx((10, 1, 0.75))
    assert 2 * math.atan2(centre.orientation.z, centre.orientation.w) == pytest.approx(math.pi / 6)
    assert (size.x, size.y, size.z) == pytest.approx((4, 2, 1.5))
    (result,) = one.results
    assert result.hypothesis.class_id == "unknown"
    assert result.hypothesis.score == pytest.approx(0.93)
    assert (result.pose.pose.position.x, result.pose.pose.position.y) == (9.4, 0.2)  # the near side
    assert result.pose.covariance.reshape(6, 6)[:2, :2].tolist() == [[0.5, 0], [0, 0.1]]
    assert not result.pose.covariance.reshape(6, 6)[2:].any()


def test_the_stamp_is_the_time_at_which_the_positions_hold() -> None:
    """Who moves a predicted object on from its stamp must not move it twice."""
    tick = tick_record(capture_ns=5, now_ns=6, published_ns=8, alerts=(alert(),))
    record = predict_record(tick, 1_000_000_006)
    for made in (detections(TYPES, record, 0), detected_objects(TYPES, record, 0), diagnostics(TYPES, record, 0, 1)):
        assert (made.header.stamp.sec, made.header.stamp.nanosec) == (1, 5)
    values = values_of(diagnostics(TYPES, record, 0, 1))["airside: tick"]
    assert (values["capture_ns"], values["age_ms"], values["predicted"]) == ("5", "1000.0", "true")


def test_a_tick_that_looked_at_nothing_is_stamped_with_its_own_time_and_told_with_the_age_of_the_last_picture() -> None:
    blind = (CameraStatus("front", Health(HealthState.BLIND, ("stale",)), 5, observed=False),)
    record = tick_record(
        capture_ns=5, now_ns=1_000_000_006, published_ns=1_000_000_008, cameras=blind, alerts=(alert(),)
    )
    for made in (detections(TYPES, record, 0), detected_objects(TYPES, record, 0)):
        assert (made.header.stamp.sec, made.header.stamp.nanosec) == (1, 6)  # its objects are carried on to there
    assert holds_at_ns(record) == 1_000_000_006  # and a grid that takes back is newer than what it takes back
    assert values_of(diagnostics(TYPES, record, 0, 1))["airside: tick"]["age_ms"] == "1000.0"


def test_an_object_whose_extent_is_not_told_has_a_size_all_the_same() -> None:
    record = tick_record(alerts=(alert(footprint_xy_m=(), height_m=0.0),))
    (one,) = detections(TYPES, record, 0).detections
    assert (one.bbox.size.x, one.bbox.size.y, one.bbox.size.z) == (NO_EXTENT_M,) * 3
    assert (one.bbox.center.position.x, one.bbox.center.position.y) == (9.4, 0.2)


@pytest.mark.parametrize(
    ("kind", "nearest", "label", "probability"),
    [
        (Kind.UNKNOWN, "bus", 0, 0.93),  # what it looks like most is not what it is
        (Kind.KNOWN, "bus", 3, 0.07),
        (Kind.KNOWN, "person", 7, 0.07),
        (Kind.KNOWN, "aircraft_large", 0, 0.07),
    ],
)
def test_labels_of_autoware(kind: Kind, nearest: str, label: int, probability: float) -> None:
    record = tick_record(alerts=(alert(kind=kind, nearest_class=nearest),))
    (one,) = over_the_wire(detected_objects(TYPES, record, 0)).objects
    (name,) = one.classification
    assert (name.label, name.probability) == (label, pytest.approx(probability))


def test_an_autoware_object() -> None:
    record = tick_record(alerts=(alert(footprint_xy_m=TURNED), alert(footprint_xy_m=(), confirmed=False)))
    told, untold = over_the_wire(detected_objects(TYPES, record, 0)).objects
    assert (told.existence_probability, untold.existence_probability) == (1.0, 0.5)
    assert (told.shape.type, untold.shape.type) == (2, 0)
    assert (told.kinematics.orientation_availability, untold.kinematics.orientation_availability) == (1, 0)
    corners = sorted((round(p.x, 4), round(p.y, 4)) for p in told.shape.footprint.points)
    assert corners == [(-2, -1), (-2, 1), (2, -1), (2, 1)]  # seen from its own pose
    assert told.kinematics.has_position_covariance
    assert not told.kinematics.has_twist  # relative to the vehicle: not Autoware's


def test_the_grid_lies_as_ros_lays_it() -> None:
    cells = np.full((3, 2), -1, np.int8)  # 3 ahead, 2 to the left
    cells[2, 0], cells[0, 1] = 100, 0
    made = over_the_wire(occupancy_grid(TYPES, Occupancy(0.5, (-10.0, -5.0), cells), 5, 6))
    assert (made.info.width, made.info.height, made.info.resolution) == (3, 2, 0.5)
    assert (made.info.origin.position.x, made.info.origin.position.y) == (-10, -5)
    assert made.info.origin.orientation.w == 1
    assert made.data.tolist() == [-1, -1, 100, 0, -1, -1]  # index y * width + x
    assert made.header.stamp.nanosec == 11


def test_the_diagnostics_say_all_a_planner_needs() -> None:
    region = Region(Kind.UNKNOWN, "cone", 0.4, 0.9, 5.0, (1.0, 2.0, 3.0, 4.0), np.zeros((3, 2), np.float32))
    loose = Sighting("front", region, None, Level.CAUTION, ("unknown_ahead_range_unknown",))
    quiet = Sighting("front", region, None, Level.NONE, ("known",))
    tracked = Sighting("front", region, None, Level.STOP, ("unknown_in_stop_distance",), track_id=1)
    degraded = Health(HealthState.DEGRADED, ("camera_stale", "scene"))
    record = tick_record(
        41, capture_ns=10_000_000, now_ns=70_000_000, published_ns=90_000_000, expires_ns=610_000_000, health=degraded,
        cameras=(CameraStatus("front", Health(HealthState.OK), 10_000_000, True),
                 CameraStatus("rear", Health(HealthState.BLIND, ("no_frame",)), None, False)),
        alerts=(alert(id=1),), sightings=(loose, quiet, tracked),
    )  # fmt: skip
    made = over_the_wire(diagnostics(TYPES, record, OFFSET_NS, sequence=99))
    assert [(s.name, s.level) for s in made.status] == [
        ("airside: tick", 1), ("airside: camera front", 0), ("airside: camera rear", 2), ("airside: alert 1", 2),
        ("airside: sighting front 0", 1),
    ]  # fmt: skip
    values = values_of(made)
    assert values["airside: tick"] == {
        "sequence": "99", "tick": "41", "predicted": "false", "valid": "true", "level": "4", "level_name": "STOP",
        "health": "DEGRADED", "reasons": "camera_stale,scene", "capture_ns": str(OFFSET_NS + 10_000_000), 
        "now_ns": str(OFFSET_NS + 70_000_000),
        "published_ns": str(OFFSET_NS + 90_000_000), "expires_ns": str(OFFSET_NS + 610_000_000), "age_ms": "80.0",
        "bank_snapshot": "abc", "model_fingerprint": "def", "method": "default", "alerts": "1",
        "clock_offset_ns": str(OFFSET_NS),
    }  # fmt: skip
    assert values["airside: camera rear"]["observed"] == "false"
    assert values["airside: camera rear"]["capture_ns"] == ""
    assert values["airside: camera front"]["age_ms"] == "80.0"
    stop = values["airside: alert 1"]
    assert (stop["level_name"], stop["reasons"], stop["valid"]) == ("STOP", "unknown_in_stop_distance", "true")
    assert stop["expires_ns"] == str(OFFSET_NS + 610_000_000)
    assert (stop["x_m"], stop["vx_mps"], stop["covariance_m2"]) == ("9.400", "-2.000", "0.5000,0.0000,0.1000")
    assert values["airside: sighting front 0"]["reasons"] == "unknown_ahead_range_unknown"


def test_what_is_not_valid_is_an_error_for_every_reader() -> None:
    made = diagnostics(TYPES, tick_record(valid=False), 0, 1)
    assert made.status[0].level == 2


def test_the_text_is_the_json_line() -> None:
    record = random_record(np.random.default_rng(1), 3)
    assert over_the_wire(tick_text(TYPES, record)).data == json_line(record)


def test_numbers_that_are_not_finite_never_leave() -> None:
    record = tick_record(alerts=(alert(state=np.array([np.nan, 0.0, 0.0, 0.0])),))
    with pytest.raises(InputError, match="nan"):
        messages_of(TYPES, record, None, 0, 1)


def test_a_time_that_does_not_fit_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="clock"):
        messages_of(TYPES, tick_record(capture_ns=2**62), None, OFFSET_NS, 1)


def test_2000_mutated_messages_raise_only_our_own_errors() -> None:
    draw = random.Random(11)
    record = random_record(np.random.default_rng(2), 3)
    grid = Occupancy(0.5, (0.0, 0.0), np.zeros((8, 8), np.int8))
    good = list(
        zip((DETECTIONS, OBJECTS, DIAGNOSTICS, TEXT, GRID), messages_of(TYPES, record, grid, 0, 1), strict=True)
    )
    refused = 0
    for turn in range(2000):
        name, data = good[turn % len(good)]
        broken = bytearray(data)
        for _ in range(draw.randint(1, 5)):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        if draw.random() < 0.3:
            del broken[draw.randrange(len(broken)) :]
        try:
            TYPES.decode(bytes(broken), name)
        except CorruptError:
            refused += 1
    assert refused > 200
