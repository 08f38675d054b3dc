"""A rig on the simulator's apron: where its cameras stand, what they see, and that the view from above agrees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import training.apron.world
from airside.config import CameraConfig, MountConfig, RigConfig, load_rig
from airside.errors import UsageError
from airside.geometry.bev_grid import BevGrid
from training.apron.conditions import PRESETS
from training.apron.ground import TEXTURE_PX, Ground, Surface
from training.apron.renderer import STUFF, Placed, Renderer
from training.apron.solids import Asset, Builder
from training.apron.world import World, build_world
from training.bev_truth import Footprint, Site, visible_cells
from training.rig_frames import (
    CLEAR_M,
    RANGE_M,
    VEHICLES,
    RigFrames,
    RigPlan,
    VehiclePose,
    camera_views,
    photograph,
    place_around,
    rig_frames_of,
    site_of,
)

RIGS = Path(__file__).parents[3] / "configs" / "rigs"
POSE = VehiclePose(31.0, -44.0, 2.1)
GRID = BevGrid()
PLAN = RigPlan(
    99, 4, 2, ("bus", "service_van", "person", "cone"), ("forklift",), (2, 2), (2, 2), (1, 1), condition="day"
)


def at_size(rig: RigConfig, width: int, height: int) -> RigConfig:
    cameras = []
    for camera in rig.cameras:
        small = camera.pinhole.scaled_to(width, height)
        cameras.append(replace(camera, **{key: getattr(small, key) for key in small.__dataclass_fields__}))
    return RigConfig(tuple(cameras))


def striped_ground(rng: np.random.Generator) -> Ground:
    """Cheap: paint every 5 m, grass below y = -100."""
    labels = np.full((TEXTURE_PX, TEXTURE_PX), Surface.TARMAC, np.uint8)
    for start in range(0, TEXTURE_PX, 53):
        labels[:, start : start + 4] = Surface.MARKING
    labels[-213:] = Surface.GRASS
    texture = np.array([(90, 90, 95), (220, 180, 30), (60, 90, 40)], np.uint8)[labels]
    return Ground(texture, labels, np.full(3, 0.36))


def block(family: str, size: tuple[float, float, float]) -> Asset:
    b = Builder(np.random.default_rng(0))
    b.box((0, 0, size[2] / 2), size, b.paint((0.8, 0.2, 0.1)))
    return b.asset(family)


@pytest.mark.parametrize(
    ("name", "wide", "narrow"), [("apron6", 5, ["front_narrow"]), ("apron8", 6, ["front_narrow", "rear_narrow"])]
)
def test_shipped_rigs(name: str, wide: int, narrow: list[str]) -> None:
    rig = load_rig(RIGS / f"{name}.yaml")
    width_deg = {}
    for camera in rig.cameras:
        assert (camera.width, camera.height) == (392, 224)
        left, right = camera.pinhole.ray_cam_from_uv(np.array([[-0.5, 111.5], [391.5, 111.5]]))
        width_deg[camera.name] = np.degrees(np.arccos(left @ right))
        looks = camera.ego_from_cam.transform.directions(np.array([0.0, 0.0, 1.0]))
        side = np.array(camera.ego_from_cam.xyz_m)
        assert looks[:2] @ side[:2] > 0  # outwards
        assert -0.2 < looks[2] < 0  # and a little down
        assert ("left" in camera.name) == (looks[1] > 0.1)
        assert ("right" in camera.name) == (looks[1] < -0.1)
        assert ("rear" in camera.name) == (looks[0] < -0.1)
    assert [k for k, v in width_deg.items() if v == pytest.approx(35, abs=1e-5)] == narrow
    assert sum(v == pytest.approx(90) for v in width_deg.values()) == wide == len(width_deg) - len(narrow)
    cameras = [c for c in rig.cameras if c.name not in narrow]
    seen = visible_cells(
        GRID,
        [c.pinhole for c in cameras],
        [c.ego_from_cam.transform for c in cameras],
        [c.max_range_m for c in cameras],
    )
    range_m = np.hypot(*np.moveaxis(GRID.centres_xy_m(), -1, 0))
    assert seen[(range_m > 5) & (range_m < 50)].all()  # no bearing is unseen
    front = rig.camera("front_narrow").pinhole
    assert 2 / 27 * front.fx / 14 == pytest.approx(3.3, abs=0.1)  # DESIGN 9: patches of 2 m at 27 m


@pytest.mark.parametrize("seed", range(6))
def test_the_simulator_s_cameras_stand_where_the_rig_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mount = MountConfig((*rng.uniform(-2, 2, 2).tolist(), 1.7), *rng.uniform((-180, -20, -20), (180, 40, 20)).tolist())
    camera = CameraConfig("one", 98, 56, 61.0, 61.0, 48.5, 27.5, mount, 60.0)
    pose = VehiclePose(*rng.uniform(-80, 80, 2).tolist(), rng.uniform(-4, 4))
    (view,) = camera_views(RigConfig((camera,)), pose)
    world_from_cam = pose.world_from_ego @ mount.transform
    np.testing.assert_allclose(view.world_from_cam(), world_from_cam.rotation, atol=1e-12)
    np.testing.assert_allclose(view.xyz_m, world_from_cam.translation_m, atol=1e-12)
    uv = np.stack(np.meshgrid(np.arange(98), np.arange(56)), axis=-1)
    rays = world_from_cam.directions(camera.pinhole.ray_cam_from_uv(uv))
    mine = view.rays_world() / np.linalg.norm(view.rays_world(), axis=-1, keepdims=True)
    np.testing.assert_allclose(mine, rays, atol=1e-12)


def test_the_pose_turns_to_the_left_from_world_x() -> None:
    np.testing.assert_allclose(
        VehiclePose(2.0, 3.0, np.pi / 2).world_from_ego.points(np.array([5.0, 1.0, 0.5])), (1, 8, 0.5)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fy": 62.0}, "square pixels"),
        ({"cx": 49.0}, "cx = 48.5"),
        ({"cy": 28.0}, "cy = 27.5"),
        ({"width": 100, "cx": 49.5}, "98 x 56 px as one does; got 100 x 56"),
    ],
)
def test_cameras_the_simulator_can_not_be_are_refused(change: dict[str, Any], message: str) -> None:
    one = CameraConfig("one", 98, 56, 61.0, 61.0, 48.5, 27.5, MountConfig((0.0, 0.0, 1.0)), 60.0)
    with pytest.raises(UsageError, match=message):
        camera_views(RigConfig((one, replace(one, name="two", **change))), POSE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"known": ("bus", "buss")}, "no such families: buss"),
        ({"unknown": ("bus",)}, "no such families: bus"),
        ({"poses": 0}, "at least one pose"),
        ({"vehicle_count": (3, 2)}, "vehicle_count"),
        ({"unknown_count": (-1, 2)}, "unknown_count"),
    ],
)
def test_plans_that_can_not_be_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(PLAN, **change)


def test_assets_follow_the_seed_and_differ_between_worlds() -> None:
    first, again, other = (plan.assets() for plan in (PLAN, PLAN, replace(PLAN, world=5)))
    assert [a.family for a in first] == [*PLAN.known, *PLAN.unknown]
    assert [a.size_m for a in first] == [a.size_m for a in again] != [a.size_m for a in other]


def test_assets_stand_free_of_each_other_of_buildings_and_of_the_vehicle() -> None:
    assets = [block("bus", (8.0, 2.5, 3.0)), block("aircraft_small", (20.0, 21.0, 5.0))] * 6
    house = Footprint(20.0, 0.0, 0.3, 12.0, 30.0)
    ground = striped_ground(np.random.default_rng(0))
    site, pose = Site(ground, (house,)), VehiclePose(0.0, -70.0, 0.4)
    world = World(None, tuple(assets), (), ground, np.array([]), np.array([]))  # nothing is rendered
    placed: list[Placed] = []
    for slot in range(len(assets)):
        place_around(world, site, pose, slot, placed, np.random.default_rng([7, slot]))
    assert 6 < len(placed) <= len(assets)
    outlines = [Footprint(p.x_m, p.y_m, p.yaw_rad, *assets[p.slot].size_m[:2]) for p in placed]
    for k, mine in enumerate(outlines):
        assert all(mine.gap_m(other) >= CLEAR_M for other in (house, *outlines[:k]))
        edge = np.linspace(0, 1, 50)[:, None]
        corners = mine.corners_xy_m()
        sides = np.concatenate([a + edge * (b - a) for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)])
        near = np.hypot(*(sides - (pose.x_m, pose.y_m)).T).min()
        assert RANGE_M[0] <= near <= RANGE_M[1] + 15
        assert mine.y_m > -100  # not on the grass


@pytest.fixture(scope="module")
def cheap_ground() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.apron.world, "draw_ground", striped_ground)
        yield


@pytest.fixture(scope="module")
def rig() -> RigConfig:
    return at_size(load_rig(RIGS / "apron6.yaml"), 98, 56)


@pytest.fixture(scope="module")
def frames(egl: None, cheap_ground: None, rig: RigConfig) -> list[RigFrames]:
    return rig_frames_of(PLAN, rig)


@pytest.fixture(scope="module")
def blocks(egl: None, cheap_ground: None) -> RigFrames:
    """Solid boxes at each side of the vehicle: a ray to the ground under one must hit it."""
    families = ("bus", "service_van", "cone", "belt_loader", "forklift")
    sizes = ((9.0, 2.5, 3.0), (4.0, 2.0, 2.0), (1.5, 1.5, 1.2), (6.0, 2.0, 1.5), (3.0, 1.4, 2.2))
    around = ((8.0, 1.5, 0.5), (2.0, 7.0, 1.9), (-7.0, 5.0, 0.2), (-9.0, -4.0, -0.6), (4.0, -6.0, 2.6))
    world = build_world(
        [block(f, s) for f, s in zip(families, sizes, strict=True)], np.random.default_rng(0), scenery=False
    )
    placed = []
    for slot, (x, y, yaw) in enumerate(around):
        x, y, _ = POSE.world_from_ego.points(np.array([x, y, 0.0]))
        placed.append(Placed(slot, x, y, POSE.yaw_rad + yaw))
    big = at_size(load_rig(RIGS / "apron6.yaml"), 196, 112)
    with Renderer(world, 112, 196) as renderer:
        return photograph(renderer, site_of(world), big, POSE, placed, PRESETS["day"], np.random.default_rng(0))


def points_of(frames: RigFrames, camera: int, limit_m: float = 60.0) -> tuple[np.ndarray, np.ndarray]:
    """[H, W, 3] in ego metres by depth and calibration alone, and [H, W] where that is within the limit."""
    one = frames.rig.cameras[camera]
    uv = np.stack(np.meshgrid(np.arange(one.width), np.arange(one.height)), axis=-1)
    rays = one.pinhole.ray_cam_from_uv(uv)
    near = frames.depth_m[camera] < limit_m
    depth = np.where(near, frames.depth_m[camera], 0.0)
    return one.ego_from_cam.transform.points(rays / rays[..., 2:] * depth[..., None]), near


def test_shapes_and_types(frames: list[RigFrames]) -> None:
    assert len(frames) == 2
    for one in frames:
        assert (one.rgb.shape, one.rgb.dtype) == ((6, 56, 98, 3), np.uint8)
        assert (one.depth_m.shape, one.depth_m.dtype) == ((6, 56, 98), np.float32)
        assert (one.label.shape, one.label.dtype) == ((6, 56, 98), np.uint16)
        assert (one.instance.shape, one.instance.dtype) == ((6, 56, 98), np.int16)
        assert (one.condition, one.world) == ("day", 4)
        assert {item.slot for item in one.standing} >= {*np.unique(one.instance)} - {-1}
        assert {"bus", "person", "forklift"} <= {item.family for item in one.standing}
        for item in one.standing:
            shown = one.instance == item.slot
            assert (one.label[shown] == one.names.index(item.family)).all()
    assert frames[0].pose != frames[1].pose
    assert not frames[1].bev_truth(GRID).drivable.all()  # every second pose is near the end of the apron


def test_the_same_plan_gives_the_same_frames_and_a_pose_stands_alone(frames: list[RigFrames], rig: RigConfig) -> None:
    (again,) = rig_frames_of(replace(PLAN, poses=1), rig)
    for field in ("rgb", "depth_m", "label", "instance"):
        np.testing.assert_array_equal(getattr(again, field), getattr(frames[0], field))
    assert (again.pose, again.standing) == (frames[0].pose, frames[0].standing)
    np.testing.assert_array_equal(again.bev_truth(GRID).layers, frames[0].bev_truth(GRID).layers)


def test_every_pixel_of_an_asset_lies_over_its_footprint(frames: list[RigFrames], blocks: RigFrames) -> None:
    for one in (*frames, blocks):
        ego_from_world = one.pose.world_from_ego.inverse()
        seen = 0
        for camera in range(6):
            xyz, near = points_of(one, camera)
            for item in one.standing:
                points = xyz[near & (one.instance[camera] == item.slot)]
                seen += len(points)
                footprint = item.footprint.seen_from(ego_from_world)
                assert footprint.contains(points[:, :2], margin_m=0.05).all()  # lamps reach out by 4 cm
                assert (
                    (points[:, 2] > -1e-3) & (points[:, 2] < item.height_m + 0.2)
                ).all()  # a beacon stands on the roof
        assert seen > 300


def test_vehicle_cells_projected_into_the_pictures_hit_the_vehicle(blocks: RigFrames) -> None:
    truth = blocks.bev_truth(GRID)
    ego_from_world = blocks.pose.world_from_ego.inverse()
    hits = 0
    for item in blocks.standing:
        footprint = item.footprint.seen_from(ego_from_world)
        cells = GRID.centres_xy_m()[footprint.contains(GRID.centres_xy_m(), margin_m=-0.25)]
        index = GRID.index_from_xy(cells)
        assert truth.vehicles[index[:, 0], index[:, 1]].all() == (item.family in VEHICLES)
        for camera, one in enumerate(blocks.rig.cameras):
            ground = np.insert(cells, 2, 0.0, axis=1)
            uv = one.pinhole.uv_from_xyz_cam(one.ego_from_cam.transform.inverse().points(ground))
            inside = ((uv >= 0) & (uv <= (one.width - 1, one.height - 1))).all(axis=1)
            u, v = uv[inside].round().astype(int).T
            shown = blocks.instance[camera, v, u]
            assert (shown >= 0).all()  # this block, or one that stands before it
            hits += int((shown == item.slot).sum())
    assert hits > 60
    assert truth.vehicles.sum() == pytest.approx(sum(
        i.footprint.length_m * i.footprint.width_m for i in blocks.standing if i.family in VEHICLES
    ) / GRID.cell_m**2, rel=0.05)  # fmt: skip


@pytest.mark.parametrize("grid", [GRID, BevGrid(120, 80, 0.3)])
def test_ground_pixels_agree_with_the_layers(frames: list[RigFrames], blocks: RigFrames, grid: BevGrid) -> None:
    compared = dict.fromkeys(("tarmac", "marking", "grass"), 0)
    for one in (*frames, blocks):
        truth = one.bev_truth(grid)
        near_paint = cv2.dilate(truth.markings.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        inner_vehicle = cv2.erode(truth.vehicles.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        inner_drivable = cv2.erode(truth.drivable.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        near_drivable = cv2.dilate(truth.drivable.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        for camera in range(6):
            xyz, near = points_of(one, camera)
            for name in compared:
                points = xyz[near & (one.label[camera] == STUFF.index(name))]
                # beyond the square of concrete the grass lies 12 cm deeper
                np.testing.assert_allclose(points[:, 2], 0, atol=0.125 if name == "grass" else 1e-3)
                index = grid.index_from_xy(points[:, :2])
                ix, iy = index[index[:, 0] >= 0].T
                compared[name] += len(ix)
                if name == "grass":
                    assert not inner_drivable[ix, iy].any()
                else:
                    assert near_drivable[ix, iy].all()
                if name == "marking":
                    assert near_paint[ix, iy].all()
                if one is blocks:
                    assert not inner_vehicle[ix, iy].any()
    assert min(compared["tarmac"], compared["marking"]) > 500
    assert compared["grass"] > 0 or grid is not GRID


def test_visible_cells_are_those_whose_ground_a_picture_shows(blocks: RigFrames) -> None:
    truth, shown = blocks.bev_truth(GRID), 0
    for camera, one in enumerate(blocks.rig.cameras):
        xyz, near = points_of(blocks, camera)
        ground = xyz[near & (blocks.instance[camera] < 0)]
        index = GRID.index_from_xy(ground[np.hypot(ground[:, 0], ground[:, 1]) < one.max_range_m, :2])
        ix, iy = index[index[:, 0] >= 0].T
        shown += len(ix)
        around = cv2.dilate(truth.visible.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        assert around[ix, iy].all()
    assert shown > 1000
    assert not truth.visible[99:101, 99:101].any()  # under the vehicle itself


def test_buildings_in_the_pictures_stand_on_the_site_s_obstacles(frames: list[RigFrames]) -> None:
    points = []
    for one in frames:
        for camera in range(6):
            xyz, near = points_of(one, camera, limit_m=250.0)
            built = (one.label[camera] == STUFF.index("building")) & near & (xyz[..., 2] < 3)
            points.append(one.pose.world_from_ego.points(xyz[built])[:, :2])
    at = np.concatenate(points)
    inside = [obstacle.contains(at, margin_m=0.2) for obstacle in frames[0].site.obstacles]
    assert np.any(inside, axis=0).all()
    assert len(at) > 50
    assert sum(one.any() for one in inside) >= 3  # several buildings, each turned its own way


def test_scenery_takes_its_ground_away(frames: list[RigFrames]) -> None:
    site = frames[0].site
    assert len(site.obstacles) == 10
    terminal = site.obstacles[0]
    assert not site.drivable(np.array([terminal.x_m, terminal.y_m]))
    masts = site.obstacles[-2:]
    assert [round(m.x_m) for m in masts] == [-44, 44]
    assert all(max(m.length_m, m.width_m) < 2 for m in masts)  # the pole, not the lamps above
