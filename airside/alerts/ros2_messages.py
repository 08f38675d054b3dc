"""A tick record as ROS 2 messages: pure functions, one a topic.

Frame and clock: every header says ``base_link`` (the ego frame) and the time at which the world was as told: the
capture of the newest picture, the tick itself where it looked at none, and of a predicted record as much later as its
tracks were carried on. airside counts monotonic nanoseconds; ``offset_ns`` (see :func:`ros_clock_offset_ns`) is added
to each to give the ROS system clock, one offset a process, so that differences stay exact whatever the system clock
does.

What a planner needs and the perception types have no field for (level, reasons, validity, expiry, sequence, age, bank
and model) is in :func:`diagnostics`, complete in one message, and once more as JSON in ``/airside/tick``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from airside.alerts.jsonl import json_line
from airside.alerts.ros2_types import DETECTIONS, DIAGNOSTICS, GRID, OBJECTS, TEXT, Ros2Types
from airside.geometry.oriented_box import OrientedBox, oriented_box
from airside.messages import (
    Alert,
    CameraStatus,
    Health,
    HealthState,
    Kind,
    Level,
    Occupancy,
    Sighting,
    TickRecord,
    Track,
)

FRAME_ID = "base_link"
NO_EXTENT_M = 0.5  # side of an object whose extent is not told: readers drop a box of no size
TENTATIVE_EXISTENCE = 0.5  # existence probability of a track that is not confirmed yet; a confirmed one has 1

# autoware_perception_msgs/ObjectClassification; whatever is not here has 0, UNKNOWN. Labels above 7 are too new.
UNKNOWN_LABEL = 0
LABELS = {
    "baggage_tractor": 1, "service_van": 1, "pushback_tug": 2, "belt_loader": 2, "cargo_loader": 2,
    "catering_truck": 2, "de_icer": 2, "fuel_bowser": 2, "lavatory_truck": 2, "bus": 3, "dolly_train": 4,
    "ground_power_unit": 4, "passenger_stairs": 4, "person": 7,
}  # fmt: skip
_POLYGON, _BOUNDING_BOX = 2, 0  # autoware_perception_msgs/Shape
_ORIENTATION_UNAVAILABLE, _ORIENTATION_SIGN_UNKNOWN = 0, 1  # .../DetectedObjectKinematics

_DIAGNOSTIC_OF_HEALTH = {HealthState.OK: 0, HealthState.DEGRADED: 1, HealthState.BLIND: 2}  # OK, WARN, ERROR
_DIAGNOSTIC_OF_LEVEL = {Level.NONE: 0, Level.NOTICE: 0, Level.CAUTION: 1, Level.SLOW_STOP: 2, Level.STOP: 2}


def ros_clock_offset_ns() -> int:
    """What to add to a monotonic time of this machine for the ROS system clock, taken once a process."""
    return time.time_ns() - time.monotonic_ns()


def detections(types: Ros2Types, record: TickRecord, offset_ns: int) -> Any:
    """``vision_msgs/Detection3DArray``: one detection a tracked object, its id the track's.

    ``bbox`` is the smallest rectangle round the footprint, its height above the ground. The one result is the name
    (``unknown`` where it is), its score in [0, 1] and, as pose, the tracked point: the near side, with its covariance.
    """
    header = header_at(types, holds_at_ns(record) + offset_ns)
    return types.make(
        DETECTIONS, header=header, detections=[_detection(types, alert.track, header) for alert in record.alerts]
    )


def detected_objects(types: Ros2Types, record: TickRecord, offset_ns: int) -> Any:
    """``autoware_perception_msgs/DetectedObjects``. No twist is given: Autoware's is over the ground, ours relative
    to the vehicle, whose own speed is not known here."""
    header = header_at(types, holds_at_ns(record) + offset_ns)
    return types.make(OBJECTS, header=header, objects=[_object(types, alert.track) for alert in record.alerts])


def occupancy_grid(types: Ros2Types, occupancy: Occupancy, at_ns: int, offset_ns: int) -> Any:
    """``nav_msgs/OccupancyGrid`` of ``occupancy`` [X, Y]: rows of x, one row a y; -1 stays *unobserved*."""
    cells_x, cells_y = occupancy.cells.shape
    stamp = _stamp(types, at_ns + offset_ns)
    info = types.make(
        "nav_msgs/msg/MapMetaData",
        map_load_time=stamp,
        resolution=float(occupancy.cell_m),
        width=cells_x,
        height=cells_y,
        origin=_pose(types, (*occupancy.corner_xy_m, 0.0)),
    )
    data = np.ascontiguousarray(occupancy.cells.T, np.int8).ravel()
    return types.make(GRID, header=header_at(types, at_ns + offset_ns), info=info, data=data)


def diagnostics(types: Ros2Types, record: TickRecord, offset_ns: int, sequence: int) -> Any:
    """``diagnostic_msgs/DiagnosticArray``: everything DESIGN 9 promises a planner, in one message.

    ``airside: tick`` first, then one status a camera, one an alert, and one a sighting above NONE that belongs to no
    tracked object (it has no place on the ground, yet has a level). Times are of the ROS clock;
    ``clock_offset_ns`` leads back to the record's own.
    """
    statuses = [
        _tick_status(types, record, offset_ns, sequence),
        *(_camera_status(types, camera, record, offset_ns) for camera in record.cameras),
        *(_alert_status(types, alert, record, offset_ns) for alert in record.alerts),
        *(
            _sighting_status(types, number, sighting, record, offset_ns)
            for number, sighting in enumerate(record.sightings)
            if sighting.track_id is None and sighting.level > Level.NONE
        ),
    ]
    return types.make(DIAGNOSTICS, header=header_at(types, holds_at_ns(record) + offset_ns), status=statuses)


def tick_text(types: Ros2Types, record: TickRecord) -> Any:
    """``std_msgs/String`` with exactly the record's JSON line. Raises :class:`InputError` for a number not finite."""
    return text(types, json_line(record))


def text(types: Ros2Types, data: str) -> Any:
    """``std_msgs/String``."""
    return types.make(TEXT, data=data)


def box_of(track: Track) -> OrientedBox:
    """The box of ``track``: round its footprint, or :data:`NO_EXTENT_M` wide at its near side where none is told."""
    if len(track.footprint_xy_m) >= 3:
        box = oriented_box(np.array(track.footprint_xy_m))
        if box.length_m > 0:
            return box
    return OrientedBox((float(track.state[0]), float(track.state[1])), 0.0, NO_EXTENT_M, NO_EXTENT_M)


def score_of(track: Track) -> float:
    """How sure the name is, in [0, 1]: the novelty of an unknown object, what novelty leaves to a known one."""
    novelty = min(max(float(track.ood_score), 0.0), 1.0)
    return novelty if track.kind is Kind.UNKNOWN else 1.0 - novelty


def holds_at_ns(record: TickRecord) -> int:
    """When what the record says of the world was so: as its newest picture was taken; where the tick looked at none,
    at the tick itself, to which objects are carried on."""
    seen_ns = record.capture_ns if any(camera.observed for camera in record.cameras) else record.now_ns
    return seen_ns + (record.published_ns - record.now_ns if record.predicted else 0)


def _detection(types: Ros2Types, track: Track, header: Any) -> Any:
    box, height_m = box_of(track), track.height_m or NO_EXTENT_M
    near = _pose(types, (float(track.state[0]), float(track.state[1]), height_m / 2), box.yaw_rad)
    result = types.make(
        "vision_msgs/msg/ObjectHypothesisWithPose",
        hypothesis=types.make("vision_msgs/msg/ObjectHypothesis", class_id=track.name, score=score_of(track)),
        pose=types.make("geometry_msgs/msg/PoseWithCovariance", pose=near, covariance=_covariance(track)),
    )
    bbox = types.make(
        "vision_msgs/msg/BoundingBox3D",
        center=_pose(types, (*box.centre_xy_m, height_m / 2), box.yaw_rad),
        size=_vector(types, box.length_m, box.width_m, height_m),
    )
    return types.make("vision_msgs/msg/Detection3D", header=header, results=[result], bbox=bbox, id=str(track.id))


def _object(types: Ros2Types, track: Track) -> Any:
    box, height_m = box_of(track), track.height_m or NO_EXTENT_M
    told = len(track.footprint_xy_m) >= 3
    label = UNKNOWN_LABEL if track.kind is Kind.UNKNOWN else LABELS.get(track.nearest_class, UNKNOWN_LABEL)
    zeros = types.make(
        "geometry_msgs/msg/Twist", linear=_vector(types, 0.0, 0.0, 0.0), angular=_vector(types, 0.0, 0.0, 0.0)
    )
    kinematics = types.make(
        "autoware_perception_msgs/msg/DetectedObjectKinematics",
        pose_with_covariance=types.make(
            "geometry_msgs/msg/PoseWithCovariance",
            pose=_pose(types, (*box.centre_xy_m, height_m / 2), box.yaw_rad),
            covariance=_covariance(track),
        ),
        has_position_covariance=True,
        orientation_availability=_ORIENTATION_SIGN_UNKNOWN if told else _ORIENTATION_UNAVAILABLE,
        twist_with_covariance=types.make(
            "geometry_msgs/msg/TwistWithCovariance", twist=zeros, covariance=np.zeros(36, np.float64)
        ),
        has_twist=False,
        has_twist_covariance=False,
    )
    shape = types.make(
        "autoware_perception_msgs/msg/Shape",
        type=_POLYGON if told else _BOUNDING_BOX,
        footprint=types.make("geometry_msgs/msg/Polygon", points=_points(types, track, box) if told else []),
        dimensions=_vector(types, box.length_m, box.width_m, height_m),
    )
    name = types.make("autoware_perception_msgs/msg/ObjectClassification", label=label, probability=score_of(track))
    return types.make(
        "autoware_perception_msgs/msg/DetectedObject",
        existence_probability=1.0 if track.confirmed else TENTATIVE_EXISTENCE,
        classification=[name],
        kinematics=kinematics,
        shape=shape,
    )


def _points(types: Ros2Types, track: Track, box: OrientedBox) -> list[Any]:
    """The footprint as Autoware wants it: seen from the object's own pose."""
    c, s = math.cos(box.yaw_rad), math.sin(box.yaw_rad)
    x0, y0 = box.centre_xy_m
    away = [(x - x0, y - y0) for x, y in track.footprint_xy_m]
    return [types.make("geometry_msgs/msg/Point32", x=c * dx + s * dy, y=c * dy - s * dx, z=0.0) for dx, dy in away]


def _covariance(track: Track) -> np.ndarray:
    """[36] float64, row-major over x, y, z and the turns about them: only x and y are told."""
    out = np.zeros((6, 6), np.float64)
    out[:2, :2] = track.covariance[:2, :2]
    return out.ravel()


def _tick_status(types: Ros2Types, record: TickRecord, offset_ns: int, sequence: int) -> Any:
    values = {
        "sequence": sequence,
        "tick": record.tick,
        "predicted": record.predicted,
        "valid": record.valid,
        "level": int(record.level),
        "level_name": record.level.name,
        "health": record.health.state.value,
        "reasons": record.health.reasons,
        "capture_ns": record.capture_ns + offset_ns,
        "now_ns": record.now_ns + offset_ns,
        "published_ns": record.published_ns + offset_ns,
        "expires_ns": record.expires_ns + offset_ns,
        "age_ms": _ms(record.published_ns - record.capture_ns),
        "bank_snapshot": record.bank_snapshot,
        "model_fingerprint": record.model_fingerprint,
        "method": record.method,
        "alerts": len(record.alerts),
        "clock_offset_ns": offset_ns,
    }
    level = _DIAGNOSTIC_OF_HEALTH[record.health.state] if record.valid else 2
    return _status(types, level, "tick", f"{record.health.state.value}, {record.level.name}", values)


def _camera_status(types: Ros2Types, camera: CameraStatus, record: TickRecord, offset_ns: int) -> Any:
    values = {
        "camera": camera.camera,
        "health": camera.health.state.value,
        "reasons": camera.health.reasons,
        "observed": camera.observed,
        "capture_ns": "" if camera.capture_ns is None else camera.capture_ns + offset_ns,
        "age_ms": "" if camera.capture_ns is None else _ms(record.published_ns - camera.capture_ns),
    }
    message = _health_text(camera.health)
    return _status(types, _DIAGNOSTIC_OF_HEALTH[camera.health.state], f"camera {camera.camera}", message, values)


def _alert_status(types: Ros2Types, alert: Alert, record: TickRecord, offset_ns: int) -> Any:
    track = alert.track
    values = {
        "id": track.id,
        "name": track.name,
        **_decision(alert.level, alert.reasons, record, offset_ns),
        "kind": track.kind.value,
        "nearest_class": track.nearest_class,
        "similarity": f"{track.similarity:.4f}",
        "ood_score": f"{track.ood_score:.6f}",
        "protected": track.protected,
        "confirmed": track.confirmed,
        "faint": track.faint,
        "range_m": f"{track.range_m:.3f}",
        "bearing_rad": f"{track.bearing_rad:.5f}",
        "x_m": f"{track.state[0]:.3f}",
        "y_m": f"{track.state[1]:.3f}",
        "vx_mps": f"{track.state[2]:.3f}",
        "vy_mps": f"{track.state[3]:.3f}",
        "covariance_m2": [f"{track.covariance[i, j]:.4f}" for i, j in ((0, 0), (0, 1), (1, 1))],
        "footprint_xy_m": [f"{x:.2f} {y:.2f}" for x, y in track.footprint_xy_m],
        "height_m": f"{track.height_m:.2f}",
        "cameras": track.cameras,
        "first_ns": track.first_ns + offset_ns,
        "seen_ns": track.seen_ns + offset_ns,
    }
    return _status(types, _DIAGNOSTIC_OF_LEVEL[alert.level], f"alert {track.id}", alert.level.name, values)


def _sighting_status(types: Ros2Types, number: int, sighting: Sighting, record: TickRecord, offset_ns: int) -> Any:
    region, place = sighting.region, sighting.placement
    values = {
        "camera": sighting.camera,
        "name": region.name,
        **_decision(sighting.level, sighting.reasons, record, offset_ns),
        "kind": region.kind.value,
        "nearest_class": region.nearest_class,
        "similarity": f"{region.similarity:.4f}",
        "ood_score": f"{region.ood_score:.6f}",
        "box_px": [f"{value:.1f}" for value in region.box_px],
        "range_m": "" if place is None else f"{place.range_m:.3f}",
        "bearing_rad": "" if place is None else f"{place.bearing_rad:.5f}",
    }
    name = f"sighting {sighting.camera} {number}"
    return _status(types, _DIAGNOSTIC_OF_LEVEL[sighting.level], name, sighting.level.name, values)


def _decision(level: Level, reasons: tuple[str, ...], record: TickRecord, offset_ns: int) -> dict[str, Any]:
    return {
        "level": int(level),
        "level_name": level.name,
        "reasons": reasons,
        "valid": record.valid,
        "expires_ns": record.expires_ns + offset_ns,
        "predicted": record.predicted,
    }


def _status(types: Ros2Types, level: int, name: str, message: str, values: dict[str, Any]) -> Any:
    pairs = [types.make("diagnostic_msgs/msg/KeyValue", key=key, value=_text(value)) for key, value in values.items()]
    return types.make(
        "diagnostic_msgs/msg/DiagnosticStatus",
        level=level,
        name=f"airside: {name}",
        message=message,
        hardware_id="airside",
        values=pairs,
    )


def _text(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return ",".join(value) if isinstance(value, Iterable) else str(value)


def _health_text(health: Health) -> str:
    return ", ".join((health.state.value, *health.reasons))


def _ms(duration_ns: int) -> str:
    return f"{duration_ns / 1e6:.1f}"


def _stamp(types: Ros2Types, ns: int) -> Any:
    return types.make("builtin_interfaces/msg/Time", sec=ns // 1_000_000_000, nanosec=ns % 1_000_000_000)


def header_at(types: Ros2Types, ns: int, frame_id: str = FRAME_ID) -> Any:
    return types.make("std_msgs/msg/Header", stamp=_stamp(types, ns), frame_id=frame_id)


def _vector(types: Ros2Types, x: float, y: float, z: float) -> Any:
    return types.make("geometry_msgs/msg/Vector3", x=float(x), y=float(y), z=float(z))


def _pose(types: Ros2Types, xyz_m: tuple[float, float, float], yaw_rad: float = 0.0) -> Any:
    x, y, z = xyz_m
    turn = types.make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=math.sin(yaw_rad / 2), w=math.cos(yaw_rad / 2))
    point = types.make("geometry_msgs/msg/Point", x=float(x), y=float(y), z=float(z))
    return types.make("geometry_msgs/msg/Pose", position=point, orientation=turn)
