"""Photographs and their ground truth: exact where geometry says what must be seen, repeatable everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from training.apron.conditions import PRESETS
from training.apron.families import CLUTTER, KNOWN, UNKNOWN
from training.apron.renderer import ASSET_FIRST, GROUND_FIRST, STUFF, Picture, Placed, Renderer, View
from training.apron.scenes import draw_scene
from training.apron.sheet import portrait
from training.apron.solids import Asset, Builder
from training.apron.world import World, build_world

pytestmark = pytest.mark.usefixtures("egl")

H, W = 112, 196
BOX, POLE, PERSON = range(3)
VIEW = View((2.0, -45.0, 1.6), 0.4, 0.08, 0.0, np.radians(60), H, W)
DAY = PRESETS["day"]


def _block(size: tuple[float, float, float]) -> Asset:
    b = Builder(np.random.default_rng(0))
    b.box((0, 0, size[2] / 2), size, b.paint((0.8, 0.2, 0.1)))
    return b.asset("block")


def _world(seed: int = 0) -> World:
    assets = [_block((2.0, 1.2, 1.5)), _block((0.08, 0.08, 3.0)), KNOWN["person"](np.random.default_rng(1))]
    return build_world(assets, np.random.default_rng(seed), scenery=False)


@pytest.fixture(scope="module")
def renderer(egl: None) -> Iterator[Renderer]:
    with Renderer(_world(), H, W) as one:
        yield one


def _shoot(
    renderer: Renderer, placed: list[Placed], view: View = VIEW, condition: str = "day", seed: int = 0
) -> Picture:
    return renderer.shoot(view, placed, PRESETS[condition], np.random.default_rng(seed))


def _ahead(slot: int, distance_m: float, bearing_rad: float = 0.0, yaw_rad: float = 0.0) -> Placed:
    """On the ground before :data:`VIEW`; bearing positive to the left."""
    angle = VIEW.yaw_rad + bearing_rad
    return Placed(
        slot,
        VIEW.xyz_m[0] + distance_m * np.cos(angle),
        VIEW.xyz_m[1] + distance_m * np.sin(angle),
        VIEW.yaw_rad + yaw_rad,
    )


def _project(view: View, xyz_m: np.ndarray) -> np.ndarray:
    """World points [N, 3] -> pixels [N, 2], pixel centres at integers."""
    cam = (xyz_m - np.asarray(view.xyz_m)) @ view.world_from_cam()
    return cam[:, :2] / cam[:, 2:] * view.focal_px + (np.array([view.width_px, view.height_px]) - 1) / 2


def _corners(world: World, item: Placed) -> np.ndarray:
    v = world.assets[item.slot].body.vertices.astype(np.float64)
    c, s = np.cos(item.yaw_rad), np.sin(item.yaw_rad)
    return v @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + (item.x_m, item.y_m, item.z_m)


def _is_ground(picture: Picture) -> np.ndarray:
    return (picture.label >= GROUND_FIRST) & (picture.label < GROUND_FIRST + 3)


def test_shapes_and_types(renderer: Renderer) -> None:
    picture = _shoot(renderer, [_ahead(BOX, 8)])
    assert (picture.rgb.shape, picture.rgb.dtype) == ((H, W, 3), np.uint8)
    assert (picture.depth_m.shape, picture.depth_m.dtype) == ((H, W), np.float32)
    assert (picture.label.shape, picture.label.dtype) == ((H, W), np.uint16)
    assert picture.rgb.std() > 10


def test_same_seed_same_frame_bit_for_bit(renderer: Renderer) -> None:
    placed = [_ahead(BOX, 8, 0.1), _ahead(PERSON, 6, -0.2)]
    first = _shoot(renderer, placed)
    with Renderer(_world(), H, W) as fresh:
        again = _shoot(fresh, placed)
    for field in ("rgb", "depth_m", "label"):
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))
    assert (_shoot(renderer, placed, seed=1).rgb != first.rgb).any()


def test_a_frame_does_not_depend_on_the_one_before(renderer: Renderer) -> None:
    placed = [_ahead(BOX, 8)]
    first = _shoot(renderer, placed)
    _shoot(renderer, [_ahead(PERSON, 5), _ahead(POLE, 4)], replace(VIEW, yaw_rad=2.0), "night")
    np.testing.assert_array_equal(_shoot(renderer, placed).rgb, first.rgb)


def test_two_renderers_do_not_paint_into_each_other(renderer: Renderer) -> None:
    placed = [_ahead(BOX, 8)]
    alone = _shoot(renderer, placed)
    with Renderer(_world(7), H, W) as other:
        theirs = _shoot(other, placed)
        np.testing.assert_array_equal(_shoot(renderer, placed).rgb, alone.rgb)
        np.testing.assert_array_equal(_shoot(other, placed).rgb, theirs.rgb)
    np.testing.assert_array_equal(_shoot(renderer, placed).rgb, alone.rgb)
    assert (theirs.rgb != alone.rgb).any()


@pytest.mark.parametrize(("pitch", "roll"), [(0.0, 0.0), (0.15, 0.0), (0.05, 0.1), (0.3, -0.2)])
def test_depth_and_surface_of_the_ground_are_where_the_rays_meet_it(
    renderer: Renderer, pitch: float, roll: float
) -> None:
    view = replace(VIEW, pitch_rad=pitch, roll_rad=roll)
    picture, rays = _shoot(renderer, [], view), view.rays_world()
    with np.errstate(divide="ignore"):
        depth = -view.xyz_m[2] / rays[..., 2]
    near = (rays[..., 2] < 0) & (depth < 60)  # the square ends 74 m from here
    assert near.sum() > 2000
    assert _is_ground(picture)[near].all()
    np.testing.assert_allclose(picture.depth_m[near], depth[near], rtol=1e-2)
    at = np.asarray(view.xyz_m)[:2] + depth[..., None] * rays[..., :2]
    surface = GROUND_FIRST + renderer.world.ground.surface_at(at[near])
    assert (surface == picture.label[near]).mean() > 0.98


def test_sky_is_infinitely_far_and_only_above_the_horizon(renderer: Renderer) -> None:
    picture, up = _shoot(renderer, [_ahead(BOX, 8)]), VIEW.rays_world()[..., 2]
    sky = picture.label == STUFF.index("sky")
    assert sky.any()
    np.testing.assert_array_equal(sky, np.isinf(picture.depth_m))
    assert not np.isnan(picture.depth_m).any()
    assert up[sky].min() > -0.01
    assert not _is_ground(picture)[up > 0].any()


@pytest.mark.parametrize("item", [_ahead(BOX, 8), _ahead(BOX, 14, 0.2, np.pi / 2), _ahead(BOX, 6, -0.25, 0.0)])
def test_a_lone_asset_fills_its_projected_bounding_box(renderer: Renderer, item: Placed) -> None:
    view = replace(VIEW, xyz_m=(2.0, -45.0, 0.75), pitch_rad=0.0)
    item = replace(item, yaw_rad=np.arctan2(item.y_m - view.xyz_m[1], item.x_m - view.xyz_m[0]))
    picture = _shoot(renderer, [item], view)
    rows, cols = np.nonzero(picture.label == ASSET_FIRST + item.slot)
    uv = _project(view, _corners(renderer.world, item))
    low, high = uv.min(axis=0), uv.max(axis=0)
    assert cols.min() >= low[0] - 0.6
    assert cols.max() <= high[0] + 0.6
    assert rows.min() >= low[1] - 0.6
    assert rows.max() <= high[1] + 0.6
    assert len(rows) > 0.85 * np.prod(high - low)


def test_depth_of_an_asset_is_its_distance(renderer: Renderer) -> None:
    item = _ahead(BOX, 9)
    picture = _shoot(renderer, [item], replace(VIEW, xyz_m=(2.0, -45.0, 0.75), pitch_rad=0.0))
    face = picture.depth_m[picture.label == ASSET_FIRST + BOX]
    assert np.median(face) == pytest.approx(8.0, rel=1e-2)  # the box is 2 m long


def test_moving_the_asset_moves_the_label(renderer: Renderer) -> None:
    left, right = (_shoot(renderer, [_ahead(PERSON, 8, s * 0.25)]).label == ASSET_FIRST + PERSON for s in (1, -1))
    assert left.sum() > 50
    assert right.sum() > 50
    assert not (left & right).any()
    assert np.nonzero(left)[1].max() < W / 2 < np.nonzero(right)[1].min()


def test_hidden_assets_are_absent(renderer: Renderer) -> None:
    _shoot(renderer, [_ahead(BOX, 8), _ahead(PERSON, 5, 0.2)])
    assert not (_shoot(renderer, []).label >= ASSET_FIRST).any()
    assert set(np.unique(_shoot(renderer, [_ahead(PERSON, 5)]).label)) & {ASSET_FIRST + k for k in range(3)} == {
        ASSET_FIRST + PERSON
    }


def test_the_nearer_asset_hides_the_farther(renderer: Renderer) -> None:
    both = _shoot(renderer, [_ahead(BOX, 5), _ahead(PERSON, 12)]).label
    alone = _shoot(renderer, [_ahead(PERSON, 12)]).label
    assert (both == ASSET_FIRST + PERSON).sum() < (alone == ASSET_FIRST + PERSON).sum()


@pytest.mark.parametrize("azimuth_deg", [-28, -15, 0, 9, 26])
def test_a_pole_appears_in_the_column_of_its_azimuth(renderer: Renderer, azimuth_deg: float) -> None:
    view = replace(VIEW, pitch_rad=0.0)
    picture = _shoot(renderer, [_ahead(POLE, 6.0, np.radians(azimuth_deg))], view)
    rows, cols = np.nonzero(picture.label == ASSET_FIRST + POLE)
    assert len(rows) > 50
    wanted = (W - 1) / 2 - W / 2 / np.tan(np.radians(30)) * np.tan(np.radians(azimuth_deg))
    assert cols.mean() == pytest.approx(wanted, abs=0.6)
    assert np.ptp(cols) <= 4


def test_pitch_looks_down_and_roll_turns_clockwise(renderer: Renderer) -> None:
    def sky(**turn: float) -> np.ndarray:
        return _shoot(renderer, [], replace(VIEW, **turn)).label == STUFF.index("sky")

    assert sky(pitch_rad=0.15).sum() < sky(pitch_rad=0.0).sum() < sky(pitch_rad=-0.15).sum()
    rolled = sky(roll_rad=0.1)  # the right side of the camera dips, so it sees more ground there
    assert rolled[:, -20:].sum() < rolled[:, :20].sum()


def test_night_is_darker_than_day(renderer: Renderer) -> None:
    placed = [_ahead(BOX, 8)]
    day, night = (_shoot(renderer, placed, condition=name) for name in ("day", "night"))
    assert night.rgb.mean() < 0.6 * day.rgb.mean()
    np.testing.assert_array_equal(day.label, night.label)
    np.testing.assert_array_equal(day.depth_m, night.depth_m)


def test_fog_hides_what_is_far(renderer: Renderer) -> None:
    far = [_ahead(BOX, 45)]
    contrast = {}
    for name in ("day", "fog"):
        picture = _shoot(renderer, far, condition=name)
        mask = picture.label == ASSET_FIRST + BOX
        ring = np.roll(mask, 12, axis=1) & _is_ground(picture)
        contrast[name] = np.abs(picture.rgb[mask].mean(axis=0) - picture.rgb[ring].mean(axis=0)).max()
    assert contrast["fog"] < 0.6 * contrast["day"]


def test_the_sun_casts_a_shadow(renderer: Renderer) -> None:
    lit, overcast = (
        _shoot(renderer, [_ahead(BOX, 8)], condition=c).rgb.astype(int) - _shoot(renderer, [], condition=c).rgb
        for c in ("day", "overcast")
    )
    beside = _is_ground(_shoot(renderer, [_ahead(BOX, 8)]))
    assert (lit[beside].mean(axis=-1) < -30).sum() > 20
    assert (overcast[beside].mean(axis=-1) < -30).sum() < 20


def test_portraits_show_the_asset_large(egl: None) -> None:
    asset = KNOWN["aircraft_large"](np.random.default_rng(0))
    placed, view = portrait(asset, 0)
    with Renderer(build_world([asset], np.random.default_rng(0), scenery=False), 224, 392) as renderer:
        picture = renderer.shoot(view, [placed], DAY, np.random.default_rng(0))
    rows, cols = np.nonzero(picture.label == ASSET_FIRST)
    assert np.ptp(cols) > 0.4 * 392
    assert 0 < rows.min() <= rows.max() < 223
    assert STUFF.index("building") not in picture.label


@pytest.fixture(scope="module")
def apron(egl: None) -> Iterator[Renderer]:
    makers = [KNOWN["bus"], KNOWN["aircraft_small"], UNKNOWN["animal"], CLUTTER["clutter"], KNOWN["cone"]]
    assets = [make(np.random.default_rng([4, k])) for k, make in enumerate(makers)]
    with Renderer(build_world(assets, np.random.default_rng(2)), H, W) as one:
        yield one


@pytest.mark.parametrize("name", PRESETS)
def test_every_condition_renders(apron: Renderer, name: str) -> None:
    world, rng = apron.world, np.random.default_rng(3)
    scene = draw_scene(
        world, rng, slots=range(len(world.assets)), count=(3, 5), condition=name, height_px=H, width_px=W
    )
    picture = apron.shoot(scene.view, scene.placed, scene.conditions, rng)
    assert picture.rgb.std() > 2
    assert set(np.unique(picture.label)) <= {*range(len(STUFF)), *(ASSET_FIRST + p.slot for p in scene.placed)}


def test_scenery_is_labelled(apron: Renderer) -> None:
    view = View((0.0, -20.0, 2.0), np.pi / 2, 0.0, 0.0, np.radians(90), H, W)
    towards, away = (
        apron.shoot(replace(view, yaw_rad=yaw), [], DAY, np.random.default_rng(0)).label for yaw in (1.57, -1.57)
    )
    assert (towards == STUFF.index("building")).mean() > 0.05
    assert (away == STUFF.index("vegetation")).any()
