"""What air, water, snow, spray and the sensor do to a rendered picture, from its exact depth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from training.apron.conditions import Conditions


@dataclass(frozen=True, slots=True)
class Shot:
    """The raw rendering: ``rgb`` [H, W, 3] uint8, ``depth_m`` [H, W] (inf: sky), ``ground_xy_m`` [H, W, 2] world
    position of ground pixels (NaN elsewhere), ``rays`` [H, W, 3] world directions of unit length along the axis."""

    rgb: np.ndarray
    depth_m: np.ndarray
    ground_xy_m: np.ndarray
    rays: np.ndarray


def develop(shot: Shot, c: Conditions, rng: np.random.Generator) -> np.ndarray:
    """The finished photograph [H, W, 3] uint8."""
    sky = ~np.isfinite(shot.depth_m)
    ground = np.isfinite(shot.ground_xy_m[..., 0])
    length = np.linalg.norm(shot.rays, axis=-1).astype(np.float32)
    distance = np.where(sky, np.float32(3000.0), shot.depth_m * length)
    light = shot.rgb.astype(np.float32) / 255
    light *= _ground_grain(shot.ground_xy_m, ground, distance)[..., None]
    air = _sky(shot.rays, c)
    light = np.where(sky[..., None], air, light)
    if c.wet > 0:
        light = _mirror_ground(light, air, ground, shot, c, rng)
    if c.snow > 0:
        light = _cover_ground(light, ground, shot.ground_xy_m, c)
    light = _haze(light, sky, distance, c)
    if c.spray > 0:
        light = _spray(light, distance, c, rng)
    if c.snow > 0 or c.wet > 0.6:
        light = _particles(light, c, rng)
    return _sensor(light, c, rng)


@cache
def _tile(blur: float) -> np.ndarray:
    """A seamless 512 x 512 noise tile of unit variance."""
    noise = np.random.default_rng(17).standard_normal((512, 512), np.float32)
    big = cv2.GaussianBlur(np.tile(noise, (2, 2)), (0, 0), blur)[256:768, 256:768] if blur > 0 else noise
    big = np.roll(big, 256, (0, 1))
    return np.asarray(big / big.std(), np.float32)


def _noise_at(xy_m: np.ndarray, period_m: float, blur: float) -> np.ndarray:
    """World-fixed noise at ground points (0 where there is none)."""
    uv = xy_m / period_m
    uv = np.nan_to_num((uv - np.floor(uv)) * 512).astype(np.float32)  # np.mod is ten times slower
    return cv2.remap(_tile(blur), uv[..., 0], uv[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _ground_grain(xy_m: np.ndarray, ground: np.ndarray, distance: np.ndarray) -> np.ndarray:
    near = 0.07 * _noise_at(xy_m, 6.0, 0.0) * np.exp(-distance / 5)
    far = 0.06 * _noise_at(xy_m, 20.0, 1.5) * np.exp(-distance / 25)
    return np.where(ground, 1 + (near + far), 1.0).astype(np.float32)


def _sky(rays: np.ndarray, c: Conditions) -> np.ndarray:
    """Gradient, clouds and the sun's disc, at half resolution."""
    h, w = rays.shape[:2]
    half = rays[::2, ::2]
    direction = (half / np.linalg.norm(half, axis=-1, keepdims=True)).astype(np.float32)
    up = np.clip(direction[..., 2], 0, 1)[..., None] ** 0.55
    sky = np.asarray(c.horizon, np.float32) * (1 - up) + np.asarray(c.zenith, np.float32) * up
    # the sky is a plane of noise overhead, fixed in the world, so that it stands still from frame to frame
    overhead = direction[..., :2] / (np.abs(direction[..., 2:]) + 0.18) + np.float32(c.sun_azimuth_rad)
    cloud = _noise_at(overhead, 9.0, 14.0) + 0.5 * _noise_at(overhead, 6.0, 5.0)
    cover = np.clip(cloud * 0.4 + c.cloud * 1.2 - 0.5, 0, 1)[..., None] * 0.7
    sky = sky * (1 - cover) + np.clip(np.asarray(c.horizon, np.float32) * 1.12, 0, 1) * cover
    if c.shadows:
        towards = np.clip(direction @ c.sun_direction.astype(np.float32), 0, 1)[..., None]
        sky = sky + np.asarray(c.sun, np.float32) * (0.5 * towards**12 + 1.5 * towards**600)
    return cv2.resize(sky.astype(np.float32), (w, h), interpolation=cv2.INTER_LINEAR)


def _mirror_ground(
    light: np.ndarray, air: np.ndarray, ground: np.ndarray, shot: Shot, c: Conditions, rng: np.random.Generator
) -> np.ndarray:
    """Darker tarmac, and puddles that mirror what stands above the horizon; as blurred, seen in angles, at any size."""
    h, w = ground.shape
    finer = w / 392
    rise = shot.rays[..., 2] / np.linalg.norm(shot.rays, axis=-1)
    horizon = np.argmin(np.abs(rise), axis=0)
    source = 2 * horizon[None] - np.arange(h)[:, None]
    ripple = cv2.resize(rng.normal(0, finer, (round(h / finer) // 3, 392 // 6)).astype(np.float32), (w, h))
    u = np.broadcast_to(np.arange(w, dtype=np.float32), (h, w)) + ripple
    v = (source + 2 * ripple).astype(np.float32)
    mirror = cv2.remap(light, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    beyond = np.clip(1 - source / (30.0 * finer), 0, 1).astype(np.float32)[..., None]
    mirror = cv2.blur(mirror * (1 - beyond) + np.asarray(c.zenith, np.float32) * beyond, (1, round(7 * finer) | 1))
    puddle = _noise_at(shot.ground_xy_m, 90.0, 14.0) + 0.4 * _noise_at(shot.ground_xy_m, 35.0, 8.0)
    grazing = np.clip(1 + 3 * rise, 0, 1) ** 2
    amount = (c.wet * (0.10 + 0.50 * grazing) * np.clip(0.55 + 0.6 * puddle, 0.15, 1))[..., None].astype(np.float32)
    wet = light * (1 - 0.35 * c.wet) * (1 - amount) + mirror * amount
    return np.where(ground[..., None], wet, light)


def _cover_ground(light: np.ndarray, ground: np.ndarray, xy_m: np.ndarray, c: Conditions) -> np.ndarray:
    drift = _noise_at(xy_m, 70.0, 10.0) + 0.5 * _noise_at(xy_m, 14.0, 3.0)
    amount = (np.clip(c.snow * 0.9 + 0.28 * drift - 0.2, 0, 0.93) * ground)[..., None]
    return light * (1 - amount) + np.asarray(c.ambient, np.float32) * 1.15 * amount


def _haze(light: np.ndarray, sky: np.ndarray, distance: np.ndarray, c: Conditions) -> np.ndarray:
    through = np.exp(-3.0 * distance / c.visibility_m).astype(np.float32)
    clear_sky = max(0.0, 1 - 600 / c.visibility_m)
    through = np.where(sky, np.float32(clear_sky) + (1 - clear_sky) * through, through)[..., None]
    return light * through + np.asarray(c.horizon, np.float32) * 0.95 * (1 - through)


def _spray(light: np.ndarray, distance: np.ndarray, c: Conditions, rng: np.random.Generator) -> np.ndarray:
    """Drifting plumes of de-icing fluid between camera and background."""
    h, w = distance.shape
    plume = np.zeros((h, w), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        puff = cv2.resize(rng.standard_normal((6, 9), np.float32), (w, h), interpolation=cv2.INTER_CUBIC)
        plume = np.maximum(plume, np.clip(puff * 0.5, 0, 0.65) * (distance > rng.uniform(3, 25)))
    alpha = cv2.GaussianBlur(plume, (0, 0), max(w / 130, 1))[..., None] * c.spray
    fluid = rng.choice(np.array([(1, 1, 1), (1, 0.93, 0.75), (0.85, 1, 0.9)], np.float32))
    return light * (1 - alpha) + np.clip(np.asarray(c.ambient, np.float32) * 1.3 * fluid, 0, 1) * alpha


def _particles(light: np.ndarray, c: Conditions, rng: np.random.Generator) -> np.ndarray:
    """Falling flakes or rain streaks, the near ones larger and softer."""
    h, w = light.shape[:2]
    layer = np.zeros((h, w), np.float32)
    snow = c.snow > 0
    for _ in range(int(rng.integers(60, 220) * (w / 392) * (c.snow if snow else 0.6 * c.wet))):
        u, v = int(rng.uniform(0, w)), int(rng.uniform(0, h))
        size = (0.5 + 1.6 * rng.random() ** 4) * w / 392
        if snow:
            cv2.circle(layer, (u, v), max(1, round(size)), float(rng.uniform(0.4, 0.95)), -1, cv2.LINE_AA)
        else:
            cv2.line(layer, (u, v), (int(u + size), int(v + 9 * size)), float(rng.uniform(0.10, 0.28)), 1, cv2.LINE_AA)
    layer = cv2.GaussianBlur(layer, (0, 0), 0.6)[..., None]
    return light * (1 - layer) + np.clip(np.asarray(c.ambient, np.float32) * 1.3, 0, 1) * layer


def _sensor(light: np.ndarray, c: Conditions, rng: np.random.Generator) -> np.ndarray:
    """Exposure, bloom, vignetting, shot noise and a soft shoulder."""
    h, w = light.shape[:2]
    light = light.astype(np.float32) * c.exposure
    quarter = cv2.resize(np.clip(light - 0.82, 0, 1), (w // 4, h // 4), interpolation=cv2.INTER_AREA)
    bloom = cv2.resize(cv2.GaussianBlur(quarter, (0, 0), w / 200), (w, h))
    light = light + bloom * (1.2 if c.floodlights > 0 else 0.35)
    v, u = np.ogrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    light = light * (1 - 0.10 * (u**2 + v**2)).astype(np.float32)[..., None]
    light = np.where(light > 0.8, 0.8 + 0.2 * np.tanh((light - 0.8) / 0.2), light)
    noise = rng.standard_normal(light.shape, np.float32) * np.float32(c.noise)
    light = light + noise * np.sqrt(np.clip(light, 0.02, 1))
    return np.asarray(np.clip(light, 0, 1) * 255, np.uint8)
