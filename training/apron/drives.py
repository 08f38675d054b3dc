"""A vehicle drives past parked equipment: consecutive pictures of one camera, with the truth about what is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from training.apron.conditions import Conditions, draw_conditions
from training.apron.families import KNOWN
from training.apron.frames import SEED_DEMO, LabelledFrame, labelled, model_of
from training.apron.renderer import Placed, Renderer, View
from training.apron.scenes import Scene
from training.apron.solids import Asset
from training.apron.world import World, build_world

TICK_S = 0.2


@dataclass(frozen=True, slots=True)
class Parked:
    """One thing of the scene: its family, where it stands (world, metres), its heading; ``unknown``: a fixed model."""

    family: str
    x_m: float
    y_m: float
    yaw_deg: float
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Drive:
    """A straight drive along +x: start, speed, length, camera mounting, weather, and what stands there."""

    name: str
    start_xy_m: tuple[float, float]
    speed_mps: float
    ticks: int
    camera_height_m: float
    pitch_rad: float
    horizontal_fov_rad: float
    condition: str
    parked: tuple[Parked, ...]
    seed: int

    @property
    def unknown(self) -> tuple[str, ...]:
        return tuple(p.family for p in self.parked if p.unknown)


DEMO = Drive(
    name="demo",
    start_xy_m=(-62.0, -6.0),
    speed_mps=1.8,
    ticks=60,
    camera_height_m=1.8,
    pitch_rad=np.radians(3.0),
    horizontal_fov_rad=np.radians(60.0),
    condition="day",
    parked=(
        Parked("portable_generator", -41.0, -3.9, 205, unknown=True),
        Parked("loose_container", -35.5, -8.9, 30, unknown=True),
        Parked("baggage_tractor", -40.0, 1.5, 20),
        Parked("dolly_train", -30.0, 4.5, 8),
        Parked("person", -33.0, -0.2, 190),
        Parked("cone", -46.0, -9.6, 0),
        Parked("fuel_bowser", -28.0, -15.5, 5),
        Parked("ground_power_unit", -18.0, 1.5, 75),
        Parked("belt_loader", -10.0, 7.0, 60),
        Parked("catering_truck", -4.0, -15.0, 10),
        Parked("cargo_loader", 2.0, 9.0, 95),
        Parked("passenger_stairs", 8.0, 4.5, 110),
        Parked("bus", 14.0, -13.5, 180),
        Parked("service_van", 22.0, -7.0, 185),
        Parked("aircraft_medium", -18.0, 34.0, 90),
        Parked("aircraft_small", 22.0, 34.0, 90),
        Parked("de_icer", 44.0, -2.0, 170),
    ),
    seed=SEED_DEMO,
)


def drive_world(drive: Drive) -> World:
    """Compile the drive's world; asset slots follow ``drive.parked``."""
    assets: list[Asset] = [
        model_of(p.family) if p.unknown else KNOWN[p.family](np.random.default_rng([drive.seed, k]))
        for k, p in enumerate(drive.parked)
    ]
    return build_world(assets, np.random.default_rng(drive.seed))


def drive_frames(drive: Drive, height_px: int, width_px: int) -> Iterator[LabelledFrame]:
    """The drive's pictures, one a tick of 0.2 s."""
    world, rng = drive_world(drive), np.random.default_rng([drive.seed, 1])
    conditions: Conditions = draw_conditions(np.random.default_rng([drive.seed, 2]), drive.condition)
    placed = tuple(Placed(k, p.x_m, p.y_m, float(np.radians(p.yaw_deg))) for k, p in enumerate(drive.parked))
    with Renderer(world, height_px, width_px) as renderer:
        for tick in range(drive.ticks):
            x = drive.start_xy_m[0] + drive.speed_mps * TICK_S * tick
            view = View(
                (x, drive.start_xy_m[1], drive.camera_height_m),
                0.0,
                drive.pitch_rad,
                0.0,
                drive.horizontal_fov_rad,
                height_px,
                width_px,
            )
            yield labelled(renderer, world, Scene(view, placed, conditions, "wide"), 0, rng)
