"""Shedding: in the declared order, said, never the cameras ahead, and taken back only after a calm while."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from airside.config import load_rig
from airside.messages import HealthState
from airside.workload import PATIENCE, STEPS, Load, ahead_cameras, rear_cameras

CAMERAS = load_rig(Path(__file__).parents[2] / "configs" / "rigs" / "apron6.yaml").cameras
REAR = rear_cameras(CAMERAS)


def after(load: Load, *took_s: float) -> Load:
    for seconds in took_s:
        load = load.after(seconds, 0.2)
    return load


def test_which_cameras_may_wait() -> None:
    assert REAR == ("rear_left", "rear_right")
    assert ahead_cameras(CAMERAS) == ("front_narrow", "front_wide")


def test_work_is_shed_in_the_declared_order_and_said() -> None:
    load, told = Load(), []
    for tick in range(len(STEPS)):
        work = load.workload(tick=2 * tick + 1, rear=REAR)
        told.append((work.depth, work.bev_slower > 1, bool(work.skipped), work.health.reasons))
        load = after(load, 0.25)
    assert told == [
        (True, False, False, ()),
        (False, False, False, ("overload_depth",)),
        (False, True, False, ("overload_depth", "overload_bev")),
        (False, True, True, ("overload_depth", "overload_bev", "overload_rear")),
    ]
    assert load.workload(0, REAR).health.state is HealthState.DEGRADED
    assert after(load, 9.0).step == len(STEPS) - 1  # there is nothing more to leave out


def test_rear_cameras_take_turns_and_the_others_never_wait() -> None:
    worst = Load(len(STEPS) - 1)
    skipped = [worst.workload(tick, REAR).skipped for tick in range(6)]
    assert all(a | b == set(REAR) and not a & b for a, b in pairwise(skipped))
    assert worst.workload(0, REAR).depth is not worst.workload(1, REAR).depth


def test_one_calm_tick_is_not_room() -> None:
    load = Load(2)
    assert after(load, *[0.1] * (PATIENCE - 1)).step == 2
    assert after(load, *[0.1] * PATIENCE).step == 1
    assert after(load, *[0.1] * (PATIENCE - 1), 0.16, *[0.1] * (PATIENCE - 1)).step == 2
    assert after(load, *[0.1] * (2 * PATIENCE)).step == 0
