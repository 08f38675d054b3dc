"""Light and weather as values, and the lamps of the renderer set by them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import mujoco
import numpy as np

Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Conditions:
    """One lighting and weather situation. Colours 0..1; ``visibility_m`` is the distance of 5 % contrast."""

    name: str
    sun: Rgb
    sun_azimuth_rad: float
    sun_elevation_rad: float
    ambient: Rgb
    zenith: Rgb
    horizon: Rgb
    shadows: bool
    floodlights: float = 0.0
    visibility_m: float = 4000.0
    cloud: float = 0.3
    wet: float = 0.0
    snow: float = 0.0
    spray: float = 0.0
    exposure: float = 1.0
    noise: float = 0.012

    @property
    def sun_direction(self) -> np.ndarray:
        """Unit vector from the world towards the sun."""
        ce = np.cos(self.sun_elevation_rad)
        return np.array(
            [ce * np.cos(self.sun_azimuth_rad), ce * np.sin(self.sun_azimuth_rad), np.sin(self.sun_elevation_rad)]
        )


_DAY = Conditions("day", (0.78, 0.75, 0.68), 0.0, 0.9, (0.46, 0.48, 0.52), (0.25, 0.45, 0.78), (0.72, 0.80, 0.88), True)

PRESETS: dict[str, Conditions] = {
    "day": _DAY,
    "overcast": replace(
        _DAY,
        name="overcast",
        sun=(0.16, 0.16, 0.17),
        ambient=(0.74, 0.75, 0.77),
        zenith=(0.62, 0.65, 0.69),
        horizon=(0.78, 0.80, 0.82),
        shadows=False,
        cloud=0.9,
        visibility_m=1500,
    ),
    "low_sun": replace(
        _DAY,
        name="low_sun",
        sun=(0.80, 0.55, 0.30),
        sun_elevation_rad=0.16,
        ambient=(0.42, 0.39, 0.42),
        zenith=(0.30, 0.42, 0.66),
        horizon=(0.96, 0.74, 0.48),
        visibility_m=1200,
    ),
    "night": replace(
        _DAY,
        name="night",
        sun=(0.05, 0.055, 0.08),
        ambient=(0.10, 0.105, 0.13),
        zenith=(0.012, 0.016, 0.035),
        horizon=(0.06, 0.065, 0.085),
        shadows=False,
        floodlights=1.0,
        noise=0.03,
        cloud=0.1,
        visibility_m=900,
    ),
    "wet": replace(
        _DAY,
        name="wet",
        sun=(0.14, 0.14, 0.15),
        ambient=(0.64, 0.65, 0.68),
        zenith=(0.50, 0.54, 0.60),
        horizon=(0.68, 0.71, 0.75),
        shadows=False,
        cloud=0.95,
        wet=1.0,
        visibility_m=500,
    ),
    "fog": replace(
        _DAY,
        name="fog",
        sun=(0.06, 0.06, 0.06),
        ambient=(0.70, 0.71, 0.72),
        zenith=(0.72, 0.735, 0.75),
        horizon=(0.70, 0.715, 0.73),
        shadows=False,
        cloud=0.0,
        visibility_m=110,
    ),
    "snow": replace(
        _DAY,
        name="snow",
        sun=(0.10, 0.10, 0.11),
        ambient=(0.72, 0.74, 0.78),
        zenith=(0.70, 0.73, 0.77),
        horizon=(0.80, 0.82, 0.85),
        shadows=False,
        cloud=0.5,
        snow=1.0,
        visibility_m=220,
    ),
    "spray": replace(
        _DAY,
        name="spray",
        sun=(0.25, 0.25, 0.25),
        ambient=(0.62, 0.63, 0.65),
        spray=1.0,
        visibility_m=600,
        shadows=False,
        cloud=0.7,
    ),
}


def draw_conditions(rng: np.random.Generator, name: str | None = None) -> Conditions:
    """A random variation of a preset (uniformly chosen when ``name`` is None)."""
    base = PRESETS[name if name is not None else str(rng.choice(list(PRESETS)))]

    def vary(rgb: Rgb, strength: float, shade: float = 0.0) -> Rgb:
        tinted = np.asarray(rgb) * (1 + rng.normal(0, strength, 3) + rng.normal(0, shade))
        r, g, b = np.clip(tinted, 0, 1)
        return float(r), float(g), float(b)

    return replace(
        base,
        sun=vary(base.sun, 0.05, 0.15),
        ambient=vary(base.ambient, 0.03, 0.12),
        zenith=vary(base.zenith, 0.05, 0.1),
        horizon=vary(base.horizon, 0.03, 0.05),
        sun_azimuth_rad=float(rng.uniform(0, 2 * np.pi)),
        sun_elevation_rad=float(base.sun_elevation_rad * rng.uniform(0.6, 1.4)),
        visibility_m=float(base.visibility_m * np.exp(rng.normal(0, 0.35))),
        cloud=float(np.clip(base.cloud + rng.normal(0, 0.2), 0, 1)),
        exposure=float(np.exp(rng.normal(0, 0.10))),
        noise=float(base.noise * rng.uniform(0.5, 1.6)),
        wet=base.wet * float(rng.uniform(0.5, 1.0)),
        snow=base.snow * float(rng.uniform(0.35, 1.0)),
        spray=base.spray * float(rng.uniform(0.4, 1.0)),
        floodlights=base.floodlights * float(rng.uniform(0.6, 1.2)),
    )


_FLOODS = np.array([(-44.0, 64.0, 24.0), (0.0, 78.0, 26.0), (44.0, 64.0, 24.0), (0.0, -40.0, 30.0)])


def light_world(
    model: mujoco.MjModel,
    c: Conditions,
    eye_m: tuple[float, float, float],
    yaw_rad: float,
    sun: int,
    first_spot: int,
    spots: int,
) -> None:
    """Set the model's lamps. The sun's shadow frustum follows the camera."""
    direction = c.sun_direction
    ahead = np.array([np.cos(yaw_rad), np.sin(yaw_rad), 0.0])
    focus = np.asarray(eye_m) * (1, 1, 0) + 18.0 * ahead
    model.light_pos[sun] = focus + 45.0 * direction
    model.light_dir[sun] = -direction
    model.light_diffuse[sun], model.light_specular[sun] = c.sun, np.asarray(c.sun) * 0.7
    model.light_ambient[sun] = 0  # a shadow would swallow it
    model.light_dir[sun + 1] = -np.array([-0.5 * direction[0] + 0.3, -0.5 * direction[1] - 0.4, 0.8])
    model.light_diffuse[sun + 1] = np.asarray(c.ambient) * 0.45
    model.light_ambient[sun + 1] = np.asarray(c.ambient) * 0.85
    model.light_specular[sun + 1] = 0.05
    model.light_active[first_spot : first_spot + spots] = c.floodlights > 0
    if c.floodlights <= 0:
        return
    glow = np.array([0.95, 0.86, 0.66]) * 0.62 * c.floodlights
    for k, flood in enumerate(_FLOODS):
        i = first_spot + k
        target = np.array([flood[0] * 0.8, 8.0, 0.0]) if flood[1] > 0 else np.array([0.0, 20.0, 0.0])
        model.light_pos[i], model.light_dir[i] = flood, (target - flood) / np.linalg.norm(target - flood)
        model.light_diffuse[i], model.light_specular[i], model.light_ambient[i] = glow, glow * 0.5, 0
        model.light_cutoff[i], model.light_exponent[i] = 75.0, 2.0
        model.light_attenuation[i] = (1.0, 0.004, 0.0)
    i = first_spot + spots - 1
    model.light_pos[i] = np.asarray(eye_m) + np.array((0, 0, -0.6))
    model.light_dir[i] = ahead + np.array((0, 0, -0.12))
    model.light_diffuse[i], model.light_specular[i], model.light_ambient[i] = (0.75, 0.75, 0.68), 0.3, 0
    model.light_cutoff[i], model.light_exponent[i] = 48.0, 8.0
    model.light_attenuation[i] = (1.0, 0.03, 0.002)
