"""What a tick does, and what it leaves out when there is too much to do: the declared order of shedding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from airside.config import CameraConfig
from airside.health import OK
from airside.messages import Health, HealthState

ROOM = 1.0  # of the period: a tick that takes longer is too long
SPARE = 0.75  # a tick that takes less would have had room for more
PATIENCE, MOST_PATIENCE = 50, 3000  # ticks with room to spare before one step back, at first and at most
REAR_RAD = math.radians(100.0)  # a camera looking further away from straight ahead is a rear one
TURN = 8  # ticks after which two rear cameras change turns: rare views from above would always miss the same one
AHEAD_RAD = math.radians(30.0)  # one looking no further away shows the path


@dataclass(frozen=True, slots=True)
class Workload:
    """``skipped`` cameras are not looked at in this tick; bird's-eye views are ``bev_slower`` times rarer; ``closer``:
    the path far away is looked at once more, where bird's-eye views are rarer in the ticks without one."""

    depth: bool = True
    bev_slower: int = 1
    closer: bool = True
    skipped: frozenset[str] = frozenset()
    health: Health = OK


FULL = Workload()


@dataclass(frozen=True, slots=True)
class _Step:
    """One step of shedding; steps add up."""

    reason: str
    depth_every: int
    bev_slower: int
    rear_every: int
    closer_every: int


# Depth first, then the bird's-eye view, then the rear cameras, every second tick in turn, never the others; last the
# closer look at the path, in the ticks without depth.
STEPS = (
    _Step("", 1, 1, 1, 1),
    _Step("overload_depth", 2, 1, 1, 1),
    _Step("overload_bev", 2, 4, 1, 1),
    _Step("overload_rear", 2, 4, 2, 1),
    _Step("overload_closer", 2, 4, 2, 2),
)


@dataclass(frozen=True, slots=True)
class Load:
    """How far shedding has gone (an index into :data:`STEPS`), for how many ticks there has been room, how many make it
    step back, and whether the last step was one back."""

    step: int = 0
    calm: int = 0
    patience: int = PATIENCE
    back: bool = False

    def after(self, took_s: float, period_s: float) -> Load:
        """What a tick of ``took_s`` teaches: one step on at once, one step back after ``patience`` calm ticks.

        A step back that proves too much doubles the patience, so that work which does not fit is tried ever more
        rarely; a calm while with nothing left out restores it.
        """
        if took_s > ROOM * period_s:
            patience = min(2 * self.patience, MOST_PATIENCE) if self.back else self.patience
            return Load(min(self.step + 1, len(STEPS) - 1), 0, patience)
        if took_s > SPARE * period_s:
            return replace(self, calm=0)
        if self.calm + 1 < self.patience:
            return replace(self, calm=self.calm + 1)
        return Load(self.step - 1, 0, self.patience, back=True) if self.step else Load()

    def workload(self, tick: int, rear: Sequence[str]) -> Workload:
        """For the tick number ``tick`` of a vehicle with the cameras ``rear`` that may wait."""
        step = STEPS[self.step]
        skipped = frozenset(name for k, name in enumerate(rear) if (tick + tick // TURN + k) % step.rear_every)
        reasons = tuple(s.reason for s in STEPS[1 : self.step + 1])
        health = Health(HealthState.DEGRADED, reasons) if reasons else OK
        depth = tick % step.depth_every == step.depth_every - 1  # where rare, not in a tick of the bird's-eye view
        return Workload(depth, step.bev_slower, tick % step.closer_every == 0, skipped, health)


def rear_cameras(cameras: Sequence[CameraConfig]) -> tuple[str, ...]:
    """Those that look more than :data:`REAR_RAD` away from straight ahead."""
    return tuple(camera.name for camera in cameras if _off_ahead_rad(camera) > REAR_RAD)


def ahead_cameras(cameras: Sequence[CameraConfig]) -> tuple[str, ...]:
    """Those that look at most :data:`AHEAD_RAD` away from straight ahead."""
    return tuple(camera.name for camera in cameras if _off_ahead_rad(camera) <= AHEAD_RAD)


def _off_ahead_rad(camera: CameraConfig) -> float:
    x, y, _ = camera.ego_from_cam.transform.rotation[:, 2]
    return abs(math.atan2(y, x))
