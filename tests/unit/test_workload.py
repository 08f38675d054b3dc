"""Shedding: in the declared order, said, never the cameras ahead, and taken back only after a calm while."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from airside.config import SiteConfig, load_rig
from airside.messages import HealthState
from airside.workload import MOST_PATIENCE, PATIENCE, STEPS, Load, ahead_cameras, rear_cameras

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
        work = load.workload(tick=2 * tick, rear=REAR)
        told.append((work.depth, work.bev_slower > 1, bool(work.skipped), work.health.reasons))
        assert work.closer  # of the even ticks
        load = after(load, 0.25)
    assert told == [
        (True, False, False, ()),
        (False, False, False, ("overload_depth",)),
        (False, True, False, ("overload_depth", "overload_bev")),
        (False, True, True, ("overload_depth", "overload_bev", "overload_rear")),
        (False, True, True, ("overload_depth", "overload_bev", "overload_rear", "overload_closer")),
    ]
    assert load.workload(0, REAR).health.state is HealthState.DEGRADED
    assert after(load, 9.0).step == len(STEPS) - 1  # there is nothing more to leave out


def test_rear_cameras_take_turns_and_the_others_never_wait() -> None:
    worst = Load(len(STEPS) - 1)
    skipped = [worst.workload(tick, REAR).skipped for tick in range(6)]
    assert all(a | b == set(REAR) and not a & b for a, b in pairwise(skipped))
    assert [worst.workload(tick, REAR).depth for tick in range(4)] == [False, True, False, True]


def test_views_from_above_show_every_rear_camera_in_turn() -> None:
    worst, site = Load(len(STEPS) - 1), SiteConfig()
    every = site.bev_every * worst.workload(0, REAR).bev_slower
    missed = [worst.workload(tick, REAR).skipped for tick in range(0, 4 * every, every)]
    assert set().union(*({*REAR} - skipped for skipped in missed)) == set(REAR)
    looked_at = [{*REAR} - worst.workload(tick, REAR).skipped for tick in range(64)]
    assert all(len(cameras) == 1 for cameras in looked_at)
    assert all(a | b | c == set(REAR) for a, b, c in zip(looked_at, looked_at[1:], looked_at[2:], strict=False))


def test_the_path_is_looked_at_closely_as_long_as_possible_and_then_in_the_ticks_without_depth() -> None:
    assert all(Load(step).workload(tick, REAR).closer for step in range(len(STEPS) - 1) for tick in range(4))
    works = [Load(len(STEPS) - 1).workload(tick, REAR) for tick in range(6)]
    assert [work.closer for work in works] == [not work.depth for work in works]


def test_one_calm_tick_is_not_room() -> None:
    load = Load(2)
    assert after(load, *[0.1] * (PATIENCE - 1)).step == 2
    assert after(load, *[0.1] * PATIENCE).step == 1
    assert after(load, *[0.1] * (PATIENCE - 1), 0.16, *[0.1] * (PATIENCE - 1)).step == 2
    assert after(load, *[0.1] * (2 * PATIENCE)).step == 0


def test_work_that_does_not_fit_is_tried_ever_more_rarely() -> None:
    """Full ticks take 210 ms, ticks with one step left out 140: of an hour's ticks hardly any may be late."""
    load, late = Load(), []
    for tick in range(18_000):
        took_s = 0.21 if load.step == 0 else 0.14
        if took_s > 0.2:
            late.append(tick)
        load = load.after(took_s, 0.2)
    assert len(late) < 15
    gaps = np.diff(late)
    assert (np.diff(gaps) >= 0).all()
    assert gaps.max() == MOST_PATIENCE + 1  # and it is tried for ever


def test_a_calm_while_makes_it_patient_anew() -> None:
    strained = after(Load(), 0.25, *[0.1] * PATIENCE, 0.25)
    assert (strained.step, strained.patience) == (1, 2 * PATIENCE)
    assert after(strained, *[0.25] * 10).patience == 2 * PATIENCE  # much at once is no new lesson
    rested = after(strained, *[0.1] * (2 * 2 * PATIENCE))
    assert rested == Load()


def test_depth_and_the_view_from_above_do_not_share_a_tick_once_there_is_too_much() -> None:
    load, every = Load(1), SiteConfig().bev_every
    assert not any(load.workload(tick, REAR).depth for tick in range(0, 40, every))
    assert sum(load.workload(tick, REAR).depth for tick in range(40)) == 20
