"""The way a simulated vehicle takes over the apron, and which ground that way claims."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from training.bev_truth import Footprint
from training.rig_frames import VehiclePose

STEP_M = 0.5  # between the points that stand for the way


@dataclass(frozen=True)
class Arc:
    """A piece of the way: its length and how far the vehicle turns on it (positive to the left)."""

    length_m: float
    turn_rad: float = 0.0


@dataclass(frozen=True)
class Path:
    """Arcs one after another from a pose in the world, driven at one speed."""

    start: VehiclePose
    arcs: tuple[Arc, ...]
    speed_mps: float

    @property
    def length_m(self) -> float:
        return sum(arc.length_m for arc in self.arcs)

    def at_m(self, along_m: float) -> VehiclePose:
        """The pose after ``along_m``; beyond either end it goes straight on."""
        x, y, yaw = self.start.x_m, self.start.y_m, self.start.yaw_rad
        left_m = along_m
        for k, arc in enumerate(self.arcs):
            last = k == len(self.arcs) - 1
            step = left_m if last and arc.turn_rad == 0 else min(left_m, arc.length_m)
            turn = arc.turn_rad * step / arc.length_m if step > 0 else 0.0
            middle = yaw + turn / 2
            chord = step * np.sinc(turn / 2 / np.pi)
            x, y, yaw, left_m = x + chord * np.cos(middle), y + chord * np.sin(middle), yaw + turn, left_m - step
            if left_m <= 0:
                break
        return VehiclePose(float(x + left_m * np.cos(yaw)), float(y + left_m * np.sin(yaw)), float(yaw))

    def at_s(self, time_s: float) -> VehiclePose:
        return self.at_m(self.speed_mps * time_s)

    @cached_property
    def points_xy_m(self) -> np.ndarray:
        """[K, 2] along the way, every :data:`STEP_M`."""
        along = np.arange(0.0, self.length_m + STEP_M, STEP_M)
        return np.array([[pose.x_m, pose.y_m] for pose in map(self.at_m, along)])

    def clear_of_m(self, footprint: Footprint) -> float:
        """The distance between the way's middle line and ``footprint``."""
        return float(distance_m(footprint, self.points_xy_m).min())


def distance_m(footprint: Footprint, xy_m: np.ndarray) -> np.ndarray:
    """[...] metres from points [..., 2] to the rectangle; 0 inside."""
    off = np.abs((np.asarray(xy_m, np.float64) - (footprint.x_m, footprint.y_m)) @ footprint.axes.T)
    beyond = np.maximum(off - (footprint.length_m / 2, footprint.width_m / 2), 0)
    return np.asarray(np.hypot(beyond[..., 0], beyond[..., 1]))
