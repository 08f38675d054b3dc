"""A vehicle on the simulator's apron: pictures of all its cameras at one moment, with the truth seen from above.

A world is built once and visited at several poses. Frames: ``world`` is the simulator's, ``ego`` the vehicle's; the
vehicle stands level on the ground, so they differ by a position and a heading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from airside.config import CameraConfig, RigConfig
from airside.errors import UsageError
from airside.geometry.bev_grid import BevGrid
from airside.geometry.transforms import RigidTransform
from training.apron.conditions import Conditions, draw_conditions
from training.apron.families import KNOWN, UNKNOWN
from training.apron.frames import labelled
from training.apron.renderer import Placed, Renderer, View
from training.apron.scenes import Scene
from training.apron.solids import Asset
from training.apron.world import World, build_world
from training.bev_truth import BevTruth, Footprint, Site, apron_layers, visible_cells

# What the vehicles layer shows: ground support equipment on wheels. An aircraft's rectangle is mostly open ground under
# its wings, and a jet bridge is part of the building, so neither is in it.
VEHICLES = frozenset(
    {
        "baggage_tractor", "pushback_tug", "dolly_train", "ground_power_unit", "belt_loader", "cargo_loader",
        "passenger_stairs", "catering_truck", "fuel_bowser", "lavatory_truck", "de_icer", "bus", "service_van",
        "baggage_robot", "scissor_lift", "forklift",
    }
)  # fmt: skip
RANGE_M = (3.0, 40.0)
CLEAR_M = 0.4  # between two assets
EDGE_M = 20.0  # every second pose has the end of the drivable ground this near: elsewhere there is nothing to tell
_POSE_X_M, _POSE_Y_M = (-112.0, 112.0), (-106.0, 62.0)
_STANDS_BELOW_M = 4.0  # scenery blocks the ground where its surfaces come down to less than this
_POSE_STREAM = 100_000  # keeps a pose's generator apart from those of the assets
_TRIES = 16
_SQUARE_PX = 1e-6

Group = tuple[tuple[int, int], Sequence[int]]  # how many (low, high) of these asset slots stand around


@dataclass(frozen=True, slots=True)
class RigPlan:
    """What one world holds and how often a vehicle stops in it to look around.

    Counts (low, high) are drawn per pose among the world's vehicles, its other known assets, and its unknown ones;
    those that find no room are left out. ``condition``: a preset of ``training.apron.conditions``, ``None`` draws one
    for each pose. ``scenery`` False leaves buildings and trees away.
    """

    seed: int
    world: int
    poses: int
    known: tuple[str, ...] = tuple(KNOWN)
    unknown: tuple[str, ...] = ()
    vehicle_count: tuple[int, int] = (6, 12)
    other_count: tuple[int, int] = (1, 4)
    unknown_count: tuple[int, int] = (0, 0)
    condition: str | None = None
    scenery: bool = True

    def __post_init__(self) -> None:
        strange = sorted({*self.known} - {*KNOWN}) + sorted({*self.unknown} - {*UNKNOWN})
        if strange:
            raise UsageError(f"rig plan: the simulator has no such families: {', '.join(strange)}")
        if self.poses < 1:
            raise UsageError(f"rig plan: at least one pose is needed, got {self.poses}")
        for name in ("vehicle_count", "other_count", "unknown_count"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise UsageError(f"rig plan: {name} must be (low, high) with 0 <= low <= high, got ({low}, {high})")

    def assets(self) -> list[Asset]:
        """The world's assets, known ones first; the slot of an asset is its place in the list."""
        makers = [*(KNOWN[name] for name in self.known), *(UNKNOWN[name] for name in self.unknown)]
        return [make(np.random.default_rng([self.seed, self.world, 1 + slot])) for slot, make in enumerate(makers)]


@dataclass(frozen=True, slots=True)
class VehiclePose:
    """Where base_link stands in the world; ``yaw_rad`` 0 heads along world +x, positive to the left."""

    x_m: float
    y_m: float
    yaw_rad: float

    @property
    def world_from_ego(self) -> RigidTransform:
        c, s = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        return RigidTransform(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]), np.array([self.x_m, self.y_m, 0.0]))


@dataclass(frozen=True, slots=True)
class Standing:
    """An asset that stands in the scene; ``footprint`` is its bounding rectangle in the world."""

    slot: int
    family: str
    footprint: Footprint
    height_m: float


@dataclass(frozen=True, slots=True, eq=False)
class RigFrames:
    """The pictures of the cameras of ``rig``, in its order, taken at one moment from ``pose``.

    ``rgb`` [N, H, W, 3] uint8; ``depth_m`` [N, H, W] float32 along the optical axis (inf: sky); ``label`` [N, H, W]
    uint16 into ``names``; ``instance`` [N, H, W] int16, the slot of a standing asset, -1 for stuff.
    """

    rgb: np.ndarray
    depth_m: np.ndarray
    label: np.ndarray
    instance: np.ndarray
    names: tuple[str, ...]
    condition: str
    world: int
    rig: RigConfig
    pose: VehiclePose
    standing: tuple[Standing, ...]
    site: Site

    def bev_truth(self, grid: BevGrid) -> BevTruth:
        """The exact bird's-eye view on ``grid``; see :class:`BevTruth`."""
        vehicles = [item.footprint for item in self.standing if item.family in VEHICLES]
        cameras = self.rig.cameras
        visible = visible_cells(
            grid,
            [camera.pinhole for camera in cameras],
            [camera.ego_from_cam.transform for camera in cameras],
            [camera.max_range_m for camera in cameras],
        )
        return BevTruth(*apron_layers(self.site, vehicles, self.pose.world_from_ego, grid), visible)


def rig_frames_of(plan: RigPlan, rig: RigConfig) -> list[RigFrames]:
    """Build the plan's world and photograph it at each pose; the same plan and rig give the same frames.

    A pose depends on its number and not on the poses before it. Raises :class:`UsageError` as :func:`camera_views`
    does, and ``NoRenderingError`` where this machine can not render.
    """
    views = camera_views(rig, VehiclePose(0.0, 0.0, 0.0))
    world = build_world(plan.assets(), np.random.default_rng([plan.seed, plan.world]), scenery=plan.scenery)
    with Renderer(world, views[0].height_px, views[0].width_px) as renderer:
        site = site_of(world)
        return [_visit(renderer, site, plan, rig, number) for number in range(plan.poses)]


def photograph(
    renderer: Renderer,
    site: Site,
    rig: RigConfig,
    pose: VehiclePose,
    placed: Sequence[Placed],
    conditions: Conditions,
    rng: np.random.Generator,
    number: int = 0,
) -> RigFrames:
    """All cameras of ``rig`` at ``pose``, in one weather; raises as :func:`camera_views` does.

    ``site`` is that of the renderer's world, ``rng`` draws sensor noise and particles, ``number`` names the world.
    """
    world = renderer.world
    shots = [
        labelled(renderer, world, Scene(view, tuple(placed), conditions, camera.name), number, rng)
        for view, camera in zip(camera_views(rig, pose), rig.cameras, strict=True)
    ]
    rgb, depth_m, label, instance = (
        np.stack([getattr(shot, field) for shot in shots]) for field in ("rgb", "depth_m", "label", "instance")
    )
    standing = tuple(_standing(world.assets[item.slot], item) for item in placed)
    return RigFrames(rgb, depth_m, label, instance, shots[0].names, conditions.name, number, rig, pose, standing, site)


def camera_views(rig: RigConfig, pose: VehiclePose) -> list[View]:
    """The simulator's cameras for those of ``rig`` on a vehicle at ``pose``.

    Raises :class:`UsageError` for a camera the simulator can not be: oblong pixels, an optical axis that is not in the
    middle of the picture, or a size that differs from the first camera's.
    """
    first = rig.cameras[0].pinhole
    for camera in rig.cameras:
        lens = camera.pinhole
        middle = (lens.width - 1) / 2, (lens.height - 1) / 2
        off = max(abs(lens.fx - lens.fy), abs(lens.cx - middle[0]), abs(lens.cy - middle[1]))
        if off > _SQUARE_PX:
            raise UsageError(
                f"camera {camera.name}: the simulator photographs with square pixels and the optical axis in the "
                f"middle, fx = fy, cx = {middle[0]}, cy = {middle[1]}; got fx {lens.fx}, fy {lens.fy}, "
                f"cx {lens.cx}, cy {lens.cy}"
            )
        if (lens.width, lens.height) != (first.width, first.height):
            raise UsageError(
                f"camera {camera.name}: all cameras of a simulated rig deliver one size, {first.width} x "
                f"{first.height} px as {rig.cameras[0].name} does; got {lens.width} x {lens.height}"
            )
    return [_view(camera, pose) for camera in rig.cameras]


def _view(camera: CameraConfig, pose: VehiclePose) -> View:
    mount, lens = camera.ego_from_cam, camera.pinhole
    x, y, z = (float(part) for part in pose.world_from_ego.points(np.array(mount.xyz_m)))
    yaw, pitch, roll = (float(angle) for angle in np.radians((mount.yaw_deg, mount.pitch_deg, mount.roll_deg)))
    fov = float(2 * np.arctan(lens.width / 2 / lens.fx))
    return View((x, y, z), pose.yaw_rad + yaw, pitch, roll, fov, lens.height, lens.width)


def site_of(world: World) -> Site:
    """The ground of ``world`` and where its scenery stands on it."""
    obstacles = []
    for number, piece in enumerate(world.scenery):
        body = world.model.geom_bodyid[np.flatnonzero(world.slot_of_geom == -2 - number)[0]]
        x, y, _ = world.model.body_pos[body]
        w, _, _, z = world.model.body_quat[body]
        triangles = piece.body.vertices[piece.body.faces].astype(np.float64)
        corners = triangles[triangles[..., 2].min(axis=1) < _STANDS_BELOW_M].reshape(-1, 3)[:, :2]
        low, high = corners.min(axis=0), corners.max(axis=0)
        (x0, y0), (length, width) = (low + high) / 2, high - low
        local = Footprint(float(x0), float(y0), 0.0, float(length), float(width))
        obstacles.append(local.seen_from(VehiclePose(x, y, 2 * np.arctan2(z, w)).world_from_ego))
    return Site(world.ground, tuple(obstacles))


def _visit(renderer: Renderer, site: Site, plan: RigPlan, rig: RigConfig, number: int) -> RigFrames:
    rng = np.random.default_rng([plan.seed, plan.world, _POSE_STREAM + number])
    world, known = renderer.world, range(len(plan.known))
    groups = (
        (plan.unknown_count, range(len(plan.known), len(world.assets))),
        (plan.vehicle_count, [slot for slot in known if world.assets[slot].family in VEHICLES]),
        (plan.other_count, [slot for slot in known if world.assets[slot].family not in VEHICLES]),
    )
    return visit(renderer, site, rig, groups, rng, at_edge=number % 2 == 1, condition=plan.condition, number=plan.world)


def visit(
    renderer: Renderer,
    site: Site,
    rig: RigConfig,
    groups: Sequence[Group],
    rng: np.random.Generator,
    *,
    at_edge: bool,
    condition: str | None = None,
    number: int = 0,
) -> RigFrames:
    """A vehicle stops somewhere on ``site``, some of each group stand around it, and all its cameras take a picture.

    ``at_edge``: near the end of the drivable ground. Otherwise as :func:`photograph`.
    """
    world, pose = renderer.world, _draw_pose(site, at_edge, rng)
    placed: list[Placed] = []
    for (low, high), slots in groups:
        wanted = int(rng.integers(low, high + 1))
        for slot in rng.permutation(np.asarray(slots, np.int64))[:wanted]:
            place_around(world, site, pose, int(slot), placed, rng)
    return photograph(renderer, site, rig, pose, placed, draw_conditions(rng, condition), rng, number)


def _draw_pose(site: Site, at_edge: bool, rng: np.random.Generator) -> VehiclePose:
    bearing = np.linspace(-np.pi, np.pi, 64, endpoint=False)
    ring = EDGE_M * np.stack([np.cos(bearing), np.sin(bearing)], axis=-1)
    while True:
        x, y, yaw = rng.uniform(*_POSE_X_M), rng.uniform(*_POSE_Y_M), rng.uniform(-np.pi, np.pi)
        at = np.array([x, y])
        stands = site.drivable(at) and not any(o.contains(at, margin_m=RANGE_M[0]) for o in site.obstacles)
        if stands and not (at_edge and site.drivable(at + ring).all()):
            return VehiclePose(float(x), float(y), float(yaw))


def place_around(
    world: World, site: Site, pose: VehiclePose, slot: int, placed: list[Placed], rng: np.random.Generator
) -> None:
    """Stand ``slot`` free on the apron, its near side :data:`RANGE_M` from the vehicle; append it to ``placed``, or not
    where no try finds room."""
    taken = [_standing(world.assets[item.slot], item).footprint for item in placed] + list(site.obstacles)
    length, width, _ = world.assets[slot].size_m
    for _ in range(_TRIES):
        bearing, yaw, near_m = rng.uniform(-np.pi, np.pi), rng.uniform(-np.pi, np.pi), rng.uniform(*RANGE_M)
        reach = (length * abs(np.cos(yaw - bearing)) + width * abs(np.sin(yaw - bearing))) / 2
        x, y = pose.x_m + (near_m + reach) * np.cos(bearing), pose.y_m + (near_m + reach) * np.sin(bearing)
        item = Placed(slot, float(x), float(y), float(yaw))
        mine = _standing(world.assets[slot], item).footprint
        if site.drivable(np.array([x, y])) and all(mine.gap_m(other) >= CLEAR_M for other in taken):
            placed.append(item)
            return


def _standing(asset: Asset, item: Placed) -> Standing:
    length, width, height = asset.size_m
    return Standing(item.slot, asset.family, Footprint(item.x_m, item.y_m, item.yaw_rad, length, width), height)
