"""Random pictures of a world: where the camera stands, what stands before it, and in which weather."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.apron.conditions import Conditions, draw_conditions
from training.apron.ground import STAND_X_M
from training.apron.renderer import Placed, View
from training.apron.world import World

HORIZONTAL_FOV_DEG = {"wide": 90.0, "normal": 60.0, "narrow": 35.0}
PATCH_PX = 14
_APRON_X_M, _APRON_Y_M = (-100.0, 100.0), (-100.0, 64.0)


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything one picture is made from, except the world."""

    view: View
    placed: tuple[Placed, ...]
    conditions: Conditions
    lens: str


def draw_scene(
    world: World,
    rng: np.random.Generator,
    *,
    slots: Sequence[int],
    count: tuple[int, int],
    height_px: int = 224,
    width_px: int = 392,
    condition: str | None = None,
    patches_high: tuple[float, float] = (1.5, 11.0),
    lens: str | None = None,
) -> Scene:
    """A camera somewhere on the apron and ``count`` (low, high) of the ``slots`` standing free in its view.

    An asset's distance is drawn so that it is ``patches_high`` patches tall (log-uniform), between 2.5 and 60 m.
    """
    lens = lens if lens is not None else str(rng.choice(list(HORIZONTAL_FOV_DEG), p=(0.4, 0.3, 0.3)))
    fov = np.radians(HORIZONTAL_FOV_DEG[lens] * rng.uniform(0.92, 1.08))
    eye = (float(rng.uniform(*_APRON_X_M)), float(rng.uniform(-95.0, 40.0)), float(rng.uniform(1.1, 2.7)))
    pitch = rng.normal(np.radians({"wide": 5.0, "normal": 3.0, "narrow": 1.5}[lens]), np.radians(2.0))
    view = View(
        eye,
        float(rng.uniform(-np.pi, np.pi)),
        float(pitch),
        float(rng.normal(0, np.radians(0.8))),
        float(fov),
        height_px,
        width_px,
    )
    wanted = min(int(rng.integers(count[0], count[1] + 1)), len(slots))
    placed = place_in_view(world, view, rng.permutation(np.asarray(slots))[:wanted], rng, patches_high)
    return Scene(view, tuple(placed), draw_conditions(rng, condition), lens)


def place_in_view(
    world: World,
    view: View,
    slots: Sequence[int] | np.ndarray,
    rng: np.random.Generator,
    patches_high: tuple[float, float],
    standing: Sequence[Placed] = (),
) -> list[Placed]:
    """Stand each of ``slots`` on free ground inside the view; those that find no room are left out."""
    placed = list(standing)
    for slot in slots:
        for _ in range(12):
            item = _one_in_view(world, view, int(slot), rng, patches_high)
            if item is not None and _is_free(world, view, item, placed):
                placed.append(item)
                break
    return placed


def _one_in_view(
    world: World, view: View, slot: int, rng: np.random.Generator, patches_high: tuple[float, float]
) -> Placed | None:
    asset = world.assets[slot]
    length, width, height = asset.size_m
    tall_px = PATCH_PX * np.exp(rng.uniform(*np.log(patches_high)))
    extent = max(height, 0.35 * max(length, width))
    distance = float(np.clip(extent * view.focal_px / tall_px, 2.5, 60.0)) + 0.5 * min(length, width)
    if asset.family.startswith("aircraft"):
        distance = float(rng.uniform(0.6 * length + 4, 1.6 * length + 25))
    bearing = view.yaw_rad + rng.uniform(-0.47, 0.47) * view.horizontal_fov_rad
    x, y = view.xyz_m[0] + distance * np.cos(bearing), view.xyz_m[1] + distance * np.sin(bearing)
    if asset.family.startswith("aircraft") and rng.random() < 0.4:
        x = float(min(STAND_X_M, key=lambda stand: abs(stand - x)))
    if not (_APRON_X_M[0] <= x <= _APRON_X_M[1] and _APRON_Y_M[0] <= y <= _APRON_Y_M[1]):
        return None
    return Placed(slot, float(x), float(y), float(rng.uniform(0, 2 * np.pi)))


def footprint_discs(world: World, item: Placed) -> np.ndarray:
    """The footprint covered with discs along its longer side: [K, 3] x, y, radius in the world."""
    length, width, _ = world.assets[item.slot].size_m
    long, short = max(length, width), max(min(length, width), 0.3)
    count = max(1, round(long / short))
    along = (np.arange(count) - (count - 1) / 2) * (long / count)
    yaw = item.yaw_rad if length >= width else item.yaw_rad + np.pi / 2
    radius = np.full(count, 0.6 * short)
    return np.stack([item.x_m + along * np.cos(yaw), item.y_m + along * np.sin(yaw), radius], axis=1)


def _is_free(world: World, view: View, item: Placed, others: Sequence[Placed]) -> bool:
    mine = footprint_discs(world, item)
    if np.any(np.hypot(mine[:, 0] - view.xyz_m[0], mine[:, 1] - view.xyz_m[1]) < mine[:, 2] + 1.0):
        return False
    for other in others:
        theirs = footprint_discs(world, other)
        gap = np.hypot(mine[:, None, 0] - theirs[None, :, 0], mine[:, None, 1] - theirs[None, :, 1])
        if np.any(gap < mine[:, None, 2] + theirs[None, :, 2]):
            return False
    return True
