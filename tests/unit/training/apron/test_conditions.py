"""Light and weather: presets are sane, draws vary around them, and the lamps follow."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from training.apron.conditions import PRESETS, draw_conditions, light_world
from training.apron.world import FIRST_SPOT, SPOTS, SUN, build_world

RGB = ("sun", "ambient", "zenith", "horizon")
SHARES = ("cloud", "wet", "snow", "spray")


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return build_world([], np.random.default_rng(0), scenery=False).model


def test_every_condition_the_issue_names_is_there() -> None:
    assert set(PRESETS) >= {"day", "low_sun", "night", "wet", "fog", "snow", "spray"}
    assert all(name == preset.name for name, preset in PRESETS.items())


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("seed", range(5))
def test_draws_stay_in_range(name: str, seed: int) -> None:
    c = draw_conditions(np.random.default_rng(seed), name)
    assert c.name == name
    assert all(0 <= value <= 1 for field in RGB for value in getattr(c, field))
    assert all(0 <= getattr(c, field) <= 1 for field in SHARES)
    assert 20 < c.visibility_m < 20_000
    assert 0 < c.sun_elevation_rad < np.pi / 2
    assert np.linalg.norm(c.sun_direction) == pytest.approx(1)
    assert (c.floodlights > 0) == (name == "night")
    assert [f for f in ("wet", "snow", "spray") if getattr(c, f) > 0] == [name] * (name in ("wet", "snow", "spray"))


def test_the_same_seed_draws_the_same_and_another_another() -> None:
    draws = [draw_conditions(np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_all_presets_are_drawn() -> None:
    rng = np.random.default_rng(0)
    assert {draw_conditions(rng).name for _ in range(150)} == set(PRESETS)


def test_low_sun_is_low_and_warm_and_night_is_dark() -> None:
    low, day, night = PRESETS["low_sun"], PRESETS["day"], PRESETS["night"]
    assert low.sun_elevation_rad < np.radians(12) < day.sun_elevation_rad
    assert low.sun[0] > 1.5 * low.sun[2]
    assert max(night.ambient) < 0.3 * min(day.ambient)


def test_the_sun_shines_away_from_where_it_stands(model: mujoco.MjModel) -> None:
    c = PRESETS["low_sun"]
    light_world(model, c, (3.0, 4.0, 1.5), 0.7, SUN, FIRST_SPOT, SPOTS)
    np.testing.assert_allclose(model.light_dir[SUN], -c.sun_direction, atol=1e-6)
    focus = np.array([3 + 18 * np.cos(0.7), 4 + 18 * np.sin(0.7), 0.0])
    np.testing.assert_allclose(np.cross(model.light_pos[SUN] - focus, c.sun_direction), 0, atol=1e-4)
    np.testing.assert_allclose(model.light_diffuse[SUN], c.sun, atol=1e-6)


def test_floodlights_burn_only_at_night(model: mujoco.MjModel) -> None:
    for name, burning in (("day", False), ("night", True), ("fog", False)):
        light_world(model, PRESETS[name], (0.0, -40.0, 1.5), 1.0, SUN, FIRST_SPOT, SPOTS)
        assert bool(model.light_active[FIRST_SPOT : FIRST_SPOT + SPOTS].all()) is burning
        assert bool(model.light_active[FIRST_SPOT : FIRST_SPOT + SPOTS].any()) is burning


def test_the_head_lamp_rides_with_the_camera(model: mujoco.MjModel) -> None:
    light_world(model, PRESETS["night"], (5.0, -6.0, 1.6), np.pi / 2, SUN, FIRST_SPOT, SPOTS)
    lamp = FIRST_SPOT + SPOTS - 1
    np.testing.assert_allclose(model.light_pos[lamp], (5, -6, 1.0), atol=1e-6)
    assert model.light_dir[lamp][1] > 0.9
