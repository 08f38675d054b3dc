"""Drives over the simulator's apron with a whole rig: what stands and moves around, the vehicle's way, and the truth.

A drive is a plan: a kind, a number, a weather, a speed. The same plan and rig give the same frames. Kinds:

- ``approach``  an unknown object stands on the path; the vehicle comes from :data:`APPROACH_FROM_M`, ends near it
- ``crossing``  an unknown object crosses the path before the vehicle
- ``parked``    an unknown object stands beside the path
- ``stand``     slowly past a served aircraft, an unknown object among the equipment
- ``clean``     known things around, nothing on the path and nothing unknown
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from airside.config import RigConfig
from airside.errors import UsageError
from training.apron.conditions import PRESETS, Conditions, draw_conditions
from training.apron.families import AIRCRAFT, KNOWN, UNKNOWN
from training.apron.frames import model_of
from training.apron.ground import SERVICE_ROAD_Y_M, STAND_STOP_Y_M, STAND_X_M
from training.apron.renderer import Placed, Renderer
from training.apron.solids import Asset
from training.apron.world import World, build_world
from training.apron_paths import Arc, Path
from training.bev_truth import Footprint, Site
from training.rig_frames import VehiclePose, camera_views, photograph, site_of

SEED_DRIVES = 13_000_000
TICK_S = 0.2
APPROACH_FROM_M = 62.0
APPROACH_ENDS_M = 4.5
MOVERS = ("baggage_robot", "inspection_robot", "animal", "forklift")  # unknown types that go by themselves
RAIN_AT_LEAST = 0.65  # of the wet preset's wetness: below it no drops fall

_CLEAR_M = 2.9  # from the middle of the way to anything beside it: half the site's corridor and some more
_APART_M = 0.6  # between two things
_AREA_X_M, _AREA_Y_M = (-106.0, 106.0), (-92.0, 58.0)  # where the vehicle drives
_MARGIN_M = 6.0  # from the way to scenery
_BEYOND_M = 20.0  # straight on after the end of a winding way, kept free as well
_TRIES = 60
_WORLD, _LAYOUT, _WEATHER, _ASSET, _TICK = 0, 1, 2, 100, 10_000  # streams of one drive's generators

KINDS = ("approach", "crossing", "parked", "stand", "clean")


@dataclass(frozen=True, slots=True)
class DrivePlan:
    """One drive. ``unknown``: the family of the unknown object, its fixed model; "" where there is none."""

    kind: str
    number: int
    condition: str
    speed_kmh: float
    rig: str
    unknown: str = ""
    duration_s: float = 30.0  # at most

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"a drive of kind {self.kind!r}? there are: {', '.join(KINDS)}")
        if self.condition not in PRESETS:
            raise UsageError(f"a drive in {self.condition!r}? the simulator has: {', '.join(PRESETS)}")
        if self.unknown not in ("", *UNKNOWN) or bool(self.unknown) == (self.kind == "clean"):
            raise UsageError(
                f"a {self.kind} drive with {self.unknown or 'nothing'} unknown: clean drives have nothing unknown, all "
                f"others one of {', '.join(UNKNOWN)}"
            )
        if not (self.speed_kmh > 0 and self.duration_s >= TICK_S):
            raise UsageError(f"a drive needs a speed and a duration, got {self.speed_kmh} km/h, {self.duration_s} s")

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.condition}-{self.rig}-{self.number:03d}"

    @property
    def speed_mps(self) -> float:
        return self.speed_kmh / 3.6

    def rng(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([SEED_DRIVES, KINDS.index(self.kind), self.number, *stream])


@dataclass(frozen=True, slots=True)
class Moving:
    """A thing of the scene: where it is at time 0 and how it goes, straight on."""

    item: Placed
    velocity_mps: tuple[float, float] = (0.0, 0.0)

    def at_s(self, time_s: float) -> Placed:
        vx, vy = self.velocity_mps
        return replace(self.item, x_m=self.item.x_m + vx * time_s, y_m=self.item.y_m + vy * time_s)


@dataclass(frozen=True, slots=True, eq=False)
class DriveScene:
    """Everything of a drive but the pictures. ``unknown_slot``: -1 where there is none."""

    plan: DrivePlan
    world: World
    site: Site
    path: Path
    things: tuple[Moving, ...]
    conditions: Conditions
    ticks: int
    unknown_slot: int


@dataclass(frozen=True, slots=True, eq=False)
class DriveTick:
    """What the N cameras saw at one tick: ``rgb`` [N, H, W, 3] uint8.

    Of the K things of the scene: ``poses`` [K, 3] float64 x, y, yaw in the world; ``pixels`` [N, K] int32 visible;
    ``boxes`` [N, K, 4] int16 px, far sides exclusive."""

    pose: VehiclePose
    rgb: np.ndarray
    poses: np.ndarray
    pixels: np.ndarray
    boxes: np.ndarray


def drive_scene(plan: DrivePlan) -> DriveScene:
    """Build the plan's world and lay out its way and its things.

    Raises :class:`UsageError` where no layout is found: another number gives another drive.
    """
    known = _known_families(plan)
    assets: list[Asset] = [KNOWN[name](plan.rng(_ASSET + slot)) for slot, name in enumerate(known)]
    unknown_slot = len(assets) if plan.unknown else -1
    if plan.unknown:
        assets.append(model_of(plan.unknown))
    world = build_world(assets, plan.rng(_WORLD))
    site, rng = site_of(world), plan.rng(_LAYOUT)
    for _ in range(8):
        layout = _Layout(plan, world, site, rng, unknown_slot)
        if _LAYOUTS[plan.kind](layout):
            ticks = min(layout.ticks, round(plan.duration_s / TICK_S))
            things = tuple(layout.things)
            return DriveScene(plan, world, site, layout.path, things, _weather(plan), ticks, unknown_slot)
    raise UsageError(f"drive {plan.name}: no layout was found; take another number")


def drive_ticks(scene: DriveScene, rig: RigConfig) -> Iterator[DriveTick]:
    """The drive's pictures, one bundle every :data:`TICK_S`; raises as :func:`camera_views` and the renderer do."""
    first = camera_views(rig, scene.path.start)[0]
    slots = np.array([thing.item.slot for thing in scene.things], np.int64)
    with Renderer(scene.world, first.height_px, first.width_px) as renderer:
        for tick in range(scene.ticks):
            time_s = tick * TICK_S
            pose, placed = scene.path.at_s(time_s), [thing.at_s(time_s) for thing in scene.things]
            rng = scene.plan.rng(_TICK + tick)
            shot = photograph(renderer, scene.site, rig, pose, placed, scene.conditions, rng)
            pixels, boxes = _seen(shot.instance, slots)
            poses = np.array([[p.x_m, p.y_m, p.yaw_rad] for p in placed]).reshape(-1, 3)
            yield DriveTick(pose, shot.rgb, poses, pixels, boxes)


def _seen(instance: np.ndarray, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.zeros((len(instance), len(slots)), np.int32)
    boxes = np.zeros((len(instance), len(slots), 4), np.int16)
    for camera, picture in enumerate(instance):
        there = np.unique(picture)
        for k, slot in enumerate(slots):
            if slot in there:
                rows, cols = np.nonzero(picture == slot)
                pixels[camera, k] = len(rows)
                boxes[camera, k] = cols.min(), rows.min(), cols.max() + 1, rows.max() + 1
    return pixels, boxes


def _weather(plan: DrivePlan) -> Conditions:
    drawn = draw_conditions(plan.rng(_WEATHER), plan.condition)
    return replace(drawn, wet=max(drawn.wet, RAIN_AT_LEAST)) if drawn.wet > 0 else drawn


def _known_families(plan: DrivePlan) -> list[str]:
    """One of every family that stands on the ground by itself, and more of what an apron has many of."""
    once = [name for name in KNOWN if name != "jet_bridge"]
    more = ["person", "person", "cone", "cone", "cone", "baggage_tractor", "dolly_train", "service_van"]
    more += ["aircraft_medium"]
    if plan.kind == "stand":
        more += ["belt_loader", "cone", "cone", "ground_power_unit", "chocks"]
    return once + more


def footprint_of(world: World, item: Placed) -> Footprint:
    length, width, _ = world.assets[item.slot].size_m
    return Footprint(item.x_m, item.y_m, item.yaw_rad, length, width)


class _Layout:
    """A drive being laid out: first its way, then what must stand somewhere, then what finds room."""

    def __init__(self, plan: DrivePlan, world: World, site: Site, rng: np.random.Generator, unknown_slot: int) -> None:
        self.plan, self.world, self.site, self.rng, self.unknown_slot = plan, world, site, rng, unknown_slot
        self.things: list[Moving] = []
        self.ticks = 0
        self.path = Path(VehiclePose(0, 0, 0), (Arc(1.0),), plan.speed_mps)

    def straight_path(self, length_m: float, *, beyond_m: float = 0.0) -> bool:
        """A straight way with free tarmac for ``beyond_m`` after its end."""
        for _ in range(_TRIES):
            start = self._draw_start()
            if self.is_open(Path(start, (Arc(length_m + beyond_m),), self.plan.speed_mps)):
                self.take_path(Path(start, (Arc(length_m),), self.plan.speed_mps))
                return True
        return False

    def winding_path(self, length_m: float) -> bool:
        """A way of straights and bends that stays on the apron."""
        tightest_m = 26.0 if self.plan.speed_kmh > 15 else 13.0
        for _ in range(_TRIES):
            arcs: list[Arc] = []
            while sum(arc.length_m for arc in arcs) < length_m:
                arcs.append(Arc(float(self.rng.uniform(12, 45))))
                turn = float(self.rng.choice((-1, 1)) * self.rng.uniform(0.3, 1.6))
                arcs.append(Arc(float(tightest_m * self.rng.uniform(1.0, 1.6) * abs(turn)), turn))
            arcs.append(Arc(_BEYOND_M))
            path = Path(self._draw_start(), tuple(arcs), self.plan.speed_mps)
            if self.is_open(path):
                self.take_path(path)
                self.ticks = round(length_m / self.plan.speed_mps / TICK_S)
                return True
        return False

    def take_path(self, path: Path) -> None:
        self.path = path
        self.ticks = int(path.length_m / path.speed_mps / TICK_S) + 1

    def _draw_start(self) -> VehiclePose:
        rng = self.rng
        return VehiclePose(
            float(rng.uniform(*_AREA_X_M)), float(rng.uniform(*_AREA_Y_M)), float(rng.uniform(-np.pi, np.pi))
        )

    def is_open(self, path: Path) -> bool:
        points = path.points_xy_m
        x, y = points.T
        inside = (x >= _AREA_X_M[0]) & (x <= _AREA_X_M[1]) & (y >= _AREA_Y_M[0]) & (y <= _AREA_Y_M[1])
        if not (inside.all() and self.site.drivable(points).all()):
            return False
        return all(path.clear_of_m(piece) >= _MARGIN_M for piece in self.site.obstacles)

    def beside(self, along_m: float, aside_m: float, turn_rad: float, slot: int) -> Placed:
        """``slot`` beside the way (positive: left), turned against the vehicle's heading there."""
        pose = self.path.at_m(along_m)
        c, s = np.cos(pose.yaw_rad), np.sin(pose.yaw_rad)
        return Placed(
            slot, float(pose.x_m - s * aside_m), float(pose.y_m + c * aside_m), float(pose.yaw_rad + turn_rad)
        )

    def gap_to_things_m(self, footprint: Footprint) -> float:
        taken = [piece for thing in self.things for piece in self.ground_of(thing.item)]
        return min((footprint.gap_m(other) for other in [*taken, *self.site.obstacles]), default=np.inf)

    def ground_of(self, item: Placed) -> list[Footprint]:
        """An aircraft is a fuselage and its wings; equipment stands in between."""
        whole = footprint_of(self.world, item)
        if self.world.assets[item.slot].family not in AIRCRAFT:
            return [whole]
        length, span = whole.length_m, whole.width_m
        return [replace(whole, width_m=0.12 * span), replace(whole, length_m=0.30 * length)]

    def stands_free(self, item: Placed, *, clear_m: float = _CLEAR_M) -> bool:
        parts = self.ground_of(item)
        whole = footprint_of(self.world, item)
        return (
            bool(self.site.drivable(np.array([item.x_m, item.y_m])))
            and self.path.clear_of_m(whole) >= clear_m
            and all(self.gap_to_things_m(part) >= _APART_M for part in parts)
        )

    def put(self, item: Placed, *, clear_m: float = _CLEAR_M) -> bool:
        """Let ``item`` stand there if there is room."""
        free = self.stands_free(item, clear_m=clear_m)
        if free:
            self.things.append(Moving(item))
        return free

    def slots_of(self, *families: str) -> list[int]:
        taken = {thing.item.slot for thing in self.things}
        return [
            slot for slot, asset in enumerate(self.world.assets)
            if slot not in taken and slot != self.unknown_slot and (not families or asset.family in families)
        ]  # fmt: skip

    def park_aircraft(self, number: int) -> None:
        """Aircraft on stands, their noses to the terminal."""
        slots = self.slots_of(*AIRCRAFT)
        for x in self.rng.permutation(np.array(STAND_X_M))[:number]:
            for slot in self.rng.permutation(np.array(slots, np.int64)):
                length = self.world.assets[slot].size_m[0]
                if self.put(Placed(int(slot), float(x), STAND_STOP_Y_M - length / 2, np.pi / 2)):
                    slots.remove(int(slot))
                    break

    def surround(self, number: int, *, near_m: tuple[float, float] = (3.5, 26.0)) -> None:
        """``number`` known things beside the way, as many as find room; aircraft only stand on stands."""
        slots = [s for s in self.slots_of() if self.world.assets[s].family not in AIRCRAFT]
        for slot in self.rng.permutation(np.array(slots, np.int64))[:number]:
            width = self.world.assets[slot].size_m[1]
            for _ in range(_TRIES):
                along = self.rng.uniform(-15, self.path.length_m + 35)
                side = self.rng.choice((-1, 1)) * (self.rng.uniform(*near_m) + width / 2)
                turn = self.rng.choice((0, np.pi / 2, np.pi, -np.pi / 2)) + self.rng.normal(0, 0.25)
                if self.put(self.beside(along, float(side), float(turn), int(slot))):
                    break

    def let_drive(
        self, *, families: tuple[str, ...] = ("baggage_tractor", "service_van", "bus", "belt_loader")
    ) -> None:
        """One known vehicle that comes towards the vehicle or overtakes it, where it meets nothing."""
        slots = self.slots_of(*families)
        if not slots or self.rng.random() < 0.4:
            return
        slot, duration = int(self.rng.choice(slots)), self.ticks * TICK_S
        for _ in range(_TRIES):
            speed, forth = self.rng.uniform(2.0, 6.0), bool(self.rng.random() < 0.5)
            along = self.rng.uniform(0, self.path.length_m)
            aside = self.rng.choice((-1, 1)) * self.rng.uniform(5.0, 14.0)
            item = self.beside(along, float(aside), 0.0 if forth else np.pi, slot)
            moving = Moving(item, (float(speed * np.cos(item.yaw_rad)), float(speed * np.sin(item.yaw_rad))))
            if all(self.stands_free(moving.at_s(t)) for t in np.arange(0, duration + 1, 0.5)):
                self.things.append(moving)
                return

    def put_unknown(self, item: Placed) -> None:
        self.things.insert(0, Moving(item))


def _approach(layout: _Layout) -> bool:
    rng, slot = layout.rng, layout.unknown_slot
    if not layout.straight_path(APPROACH_FROM_M - APPROACH_ENDS_M, beyond_m=APPROACH_ENDS_M + 14.0):
        return False
    length, width, _ = layout.world.assets[slot].size_m
    turn = float(rng.uniform(-np.pi, np.pi))
    reach = (length * abs(np.cos(turn)) + width * abs(np.sin(turn))) / 2
    item = layout.beside(APPROACH_FROM_M + reach, float(rng.uniform(-0.9, 0.9)), turn, slot)
    if layout.gap_to_things_m(footprint_of(layout.world, item)) < _APART_M:
        return False
    layout.put_unknown(item)
    driven = layout.path
    layout.path = Path(driven.start, (Arc(APPROACH_FROM_M + 10.0),), driven.speed_mps)  # nothing else on it either
    _furnish(layout, aircraft=2, things=13)
    layout.path = driven
    return True


def _crossing(layout: _Layout) -> bool:
    """The object is in the middle of the path some 2 s before the vehicle would be there."""
    rng, slot, speed = layout.rng, layout.unknown_slot, layout.plan.speed_mps
    length_m = max(speed * 7.0, 30.0)
    if not layout.straight_path(length_m, beyond_m=16.0):
        return False
    driven = layout.path
    meets_m = length_m + 6.0
    side, pace = float(rng.choice((-1, 1))), float(rng.uniform(1.2, 2.6))
    middle = layout.beside(meets_m, 0.0, -side * np.pi / 2, slot)
    velocity = (pace * np.cos(middle.yaw_rad), pace * np.sin(middle.yaw_rad))
    when_s = (length_m - speed * rng.uniform(0.8, 1.6)) / speed
    start = Moving(middle, (float(velocity[0]), float(velocity[1]))).at_s(-when_s)
    going = Moving(start, (float(velocity[0]), float(velocity[1])))
    track = [going.at_s(t) for t in np.arange(0, length_m / speed, 0.4)]
    if not all(layout.site.drivable(np.array([item.x_m, item.y_m])) for item in track):
        return False
    layout.path = Path(driven.start, (Arc(meets_m + 10.0),), speed)
    claimed = [footprint_of(layout.world, item) for item in track]
    _furnish(layout, aircraft=2, things=12, keep_free=claimed)
    layout.path = driven
    layout.things.insert(0, going)
    return True


def _parked(layout: _Layout) -> bool:
    rng, slot = layout.rng, layout.unknown_slot
    if not layout.straight_path(layout.plan.speed_mps * min(layout.plan.duration_s, 14.0), beyond_m=10.0):
        return False
    _, width, _ = layout.world.assets[slot].size_m
    for _ in range(_TRIES):
        aside = rng.choice((-1, 1)) * (rng.uniform(3.2, 7.0) + width / 2)
        along = rng.uniform(0.55, 0.85) * layout.path.length_m
        item = layout.beside(float(along), float(aside), float(rng.uniform(-np.pi, np.pi)), slot)
        if layout.stands_free(item):
            layout.put_unknown(item)
            _furnish(layout, aircraft=2, things=14)
            return True
    return False


# Who serves an aircraft, and where: shares of its length ahead of its middle, metres to the left, degrees against it.
_SERVICE: tuple[tuple[str, float, float, float], ...] = (
    ("ground_power_unit", 0.46, 3.4, 80), ("chocks", 0.385, 0.0, 90), ("pushback_tug", 0.62, 0.0, 180),
    ("passenger_stairs", 0.33, 6.8, -90), ("catering_truck", 0.36, -7.8, 90), ("cargo_loader", 0.23, -8.2, 90),
    ("belt_loader", -0.24, -7.4, 90), ("dolly_train", -0.24, -14.0, 5), ("baggage_tractor", -0.34, -14.5, 10),
    ("fuel_bowser", 0.33, 12.0, 8), ("lavatory_truck", -0.34, 6.0, -70), ("service_van", 0.52, 9.0, 140),
    ("cone", 0.60, -4.0, 0), ("cone", -0.08, 20.5, 0), ("cone", -0.08, -20.5, 0), ("cone", -0.56, 2.0, 0),
    ("person", 0.50, 5.6, 200), ("person", -0.16, -10.5, 20), ("person", 0.02, 9.0, 120), ("bus", -0.42, 15.5, 185),
    ("baggage_tractor", 0.24, -15.0, 95), ("service_van", -0.5, 9.5, 10), ("belt_loader", -0.30, 9.0, -95),
)  # fmt: skip


def _stand(layout: _Layout) -> bool:
    """Along the wing tips of a served aircraft, or behind its tail."""
    rng = layout.rng
    x = float(rng.choice(STAND_X_M))
    aside, along = float(rng.choice((-1, 1))), bool(rng.random() < 0.6)
    length_m = layout.plan.speed_mps * min(layout.plan.duration_s, 20.0)
    if along:
        start = VehiclePose(x + aside * 22.0, STAND_STOP_Y_M - 16.0 - length_m, np.pi / 2)
    else:
        behind = SERVICE_ROAD_Y_M + 4.0
        start = VehiclePose(x - aside * length_m / 2, behind, 0.0 if aside > 0 else np.pi)
    path = Path(start, (Arc(length_m),), layout.plan.speed_mps)
    if not layout.is_open(path):
        return False
    layout.take_path(path)
    aircraft = layout.slots_of("aircraft_medium")[0]
    length = layout.world.assets[aircraft].size_m[0]
    middle_y = STAND_STOP_Y_M - length / 2
    if not layout.put(Placed(aircraft, x, middle_y, np.pi / 2)):
        return False
    for family, ahead, left_m, turn_deg in _SERVICE:
        slots = layout.slots_of(family)
        if slots:
            left = left_m * (1.0 if x < 0 else -1.0) + rng.normal(0, 0.3)
            y = middle_y + ahead * length + rng.normal(0, 0.4)
            turn = np.radians(turn_deg if x < 0 else -turn_deg) + rng.normal(0, 0.08)
            layout.put(Placed(slots[0], float(x - left), float(y), float(np.pi / 2 + turn)))
    for _ in range(_TRIES):
        ahead = rng.uniform(0.2, 0.8) * layout.path.length_m
        side = rng.choice((-1, 1)) * (rng.uniform(3.4, 9.0) + layout.world.assets[layout.unknown_slot].size_m[1] / 2)
        item = layout.beside(float(ahead), float(side), float(rng.uniform(-np.pi, np.pi)), layout.unknown_slot)
        if layout.stands_free(item):
            layout.put_unknown(item)
            layout.park_aircraft(1)
            layout.surround(5)
            return True
    return False


def _clean(layout: _Layout) -> bool:
    if not layout.winding_path(layout.plan.speed_mps * layout.plan.duration_s):
        return False
    _furnish(layout, aircraft=3, things=20)
    return True


def _furnish(layout: _Layout, *, aircraft: int, things: int, keep_free: list[Footprint] | None = None) -> None:
    layout.park_aircraft(aircraft)
    layout.surround(things)
    if keep_free:
        layout.things = [
            thing for thing in layout.things
            if all(part.gap_m(claim) >= _APART_M for part in layout.ground_of(thing.item) for claim in keep_free)
        ]  # fmt: skip
    else:
        layout.let_drive()


_LAYOUTS: dict[str, Callable[[_Layout], bool]] = {
    "approach": _approach, "crossing": _crossing, "parked": _parked, "stand": _stand, "clean": _clean,
}  # fmt: skip
