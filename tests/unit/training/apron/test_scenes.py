"""Random scenes: assets stand free of each other and of the camera, inside its view."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from training.apron.families import CLUTTER, KNOWN
from training.apron.renderer import Placed, View
from training.apron.scenes import HORIZONTAL_FOV_DEG, Scene, draw_scene, footprint_discs, place_in_view
from training.apron.solids import Builder
from training.apron.world import World, build_world

NAMES = ("bus", "cone", "person", "baggage_tractor", "belt_loader", "dolly_train", "chocks", "service_van")


@pytest.fixture(scope="module")
def world() -> World:
    makers = [*(KNOWN[name] for name in NAMES), *[CLUTTER["clutter"]] * 6]
    return build_world(
        [make(np.random.default_rng([3, k])) for k, make in enumerate(makers)], np.random.default_rng(0), scenery=False
    )


def _draw(world: World, seed: int, **more: object) -> Scene:
    return draw_scene(world, np.random.default_rng(seed), slots=range(len(world.assets)), count=(5, 11), **more)


@pytest.fixture(scope="module")
def scenes(world: World) -> list[Scene]:
    return [_draw(world, seed) for seed in range(60)]


def _corners(world: World, item: Placed) -> np.ndarray:
    """[4, 2] the footprint's rectangle in the world."""
    length, width, _ = world.assets[item.slot].size_m
    c, s = np.cos(item.yaw_rad), np.sin(item.yaw_rad)
    local = np.array([(length, width), (-length, width), (-length, -width), (length, -width)]) / 2
    return local @ np.array([[c, s], [-s, c]]) + (item.x_m, item.y_m)


def _overlap_m(a: np.ndarray, b: np.ndarray) -> float:
    """How deep two convex outlines reach into each other (negative: the gap between them)."""
    depths = []
    for q in (a, b):
        for k in range(len(q)):
            edge = q[(k + 1) % len(q)] - q[k]
            across = np.array([edge[1], -edge[0]]) / np.linalg.norm(edge)
            depths.append(min((a @ across).max(), (b @ across).max()) - max((a @ across).min(), (b @ across).min()))
    return float(min(depths))


def test_the_overlap_measure() -> None:
    square = np.array([(0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0)])
    assert _overlap_m(square, square + np.array((1.5, 0.3))) == pytest.approx(0.5)
    assert _overlap_m(square, square + np.array((3.0, 0.0))) == pytest.approx(-1.0)


def test_no_footprints_overlap(world: World, scenes: list[Scene]) -> None:
    """Up to corners: discs along an asset stand for its rectangle, so two corners may reach 0.6 m into each other."""
    for scene in scenes:
        for one, other in itertools.combinations(scene.placed, 2):
            mine, theirs = footprint_discs(world, one), footprint_discs(world, other)
            gap = np.hypot(*(mine[:, None, :2] - theirs[None, :, :2]).transpose(2, 0, 1))
            assert (gap >= mine[:, None, 2] + theirs[None, :, 2] - 1e-9).all()
            assert _overlap_m(_corners(world, one), _corners(world, other)) < 0.6


def test_discs_cover_the_footprint_but_for_its_corners(world: World) -> None:
    for slot in range(len(world.assets)):
        item = Placed(slot, 4.0, -2.0, 1.1)
        corners = _corners(world, item)
        a, b = np.random.default_rng(slot).uniform(size=(2, 2000, 1))
        inside = corners[0] + a * (corners[1] - corners[0]) + b * (corners[3] - corners[0])
        discs = footprint_discs(world, item)
        near = np.hypot(*(inside[:, None] - discs[None, :, :2]).transpose(2, 0, 1)) <= discs[None, :, 2]
        assert near.any(axis=1).mean() > 0.7


def test_the_camera_is_clear(world: World, scenes: list[Scene]) -> None:
    for scene in scenes:
        eye = np.asarray(scene.view.xyz_m[:2])
        point = np.tile(eye, (4, 1)) + 1e-3 * np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
        for item in scene.placed:
            discs = footprint_discs(world, item)
            assert (np.hypot(*(discs[:, :2] - eye).T) >= discs[:, 2] + 1.0 - 1e-9).all()
            assert _overlap_m(_corners(world, item), point) < 0


def test_assets_stand_in_view_once_each(scenes: list[Scene]) -> None:
    for scene in scenes:
        view = scene.view
        assert len({item.slot for item in scene.placed}) == len(scene.placed) <= 11
        for item in scene.placed:
            x, y = item.x_m - view.xyz_m[0], item.y_m - view.xyz_m[1]
            off = (np.arctan2(y, x) - view.yaw_rad + np.pi) % (2 * np.pi) - np.pi
            assert abs(off) <= 0.5 * view.horizontal_fov_rad
    assert np.mean([len(scene.placed) for scene in scenes]) > 5


def test_lenses_and_conditions_are_mixed(scenes: list[Scene]) -> None:
    assert {scene.lens for scene in scenes} == set(HORIZONTAL_FOV_DEG)
    assert len({scene.conditions.name for scene in scenes}) >= 6
    for scene in scenes:
        fov = np.degrees(scene.view.horizontal_fov_rad)
        assert 0.9 < fov / HORIZONTAL_FOV_DEG[scene.lens] < 1.1
        assert 1.1 <= scene.view.xyz_m[2] <= 2.7


def test_the_same_seed_draws_the_same_scene_and_another_another(world: World, scenes: list[Scene]) -> None:
    assert _draw(world, 0) == scenes[0] != scenes[1]


def test_wishes_are_obeyed(world: World) -> None:
    scene = _draw(world, 5, lens="narrow", condition="fog", height_px=112, width_px=196)
    assert (scene.lens, scene.conditions.name) == ("narrow", "fog")
    assert (scene.view.height_px, scene.view.width_px) == (112, 196)
    few = draw_scene(world, np.random.default_rng(6), slots=[2, 4], count=(5, 11))
    assert {item.slot for item in few.placed} <= {2, 4}


def test_what_stands_already_is_kept_and_avoided(world: World) -> None:
    view = View((0.0, -40.0, 1.6), 0.3, 0.05, 0.0, 1.2, 224, 392)
    standing = [Placed(0, 12.0, -36.0, 0.5)]
    placed = place_in_view(world, view, [1, 2, 3], np.random.default_rng(0), (1.5, 11.0), standing)
    assert placed[0] == standing[0]
    assert len(placed) > 1
    assert all(_overlap_m(_corners(world, standing[0]), _corners(world, item)) < 0.6 for item in placed[1:])


def test_what_finds_no_room_is_left_out() -> None:
    b = Builder(np.random.default_rng(0))
    b.box((0, 0, 1), (200, 200, 2), b.steel)
    huge = build_world([b.asset("huge")], np.random.default_rng(0), scenery=False)
    view = View((0.0, -40.0, 1.6), 0.3, 0.05, 0.0, 1.2, 224, 392)
    assert place_in_view(huge, view, [0], np.random.default_rng(0), (1.5, 11.0)) == []
