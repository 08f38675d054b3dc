"""Labelled pictures of one world: built once, photographed many times.

Every use of the simulator draws from its own seed range, so that no asset and no world is ever shared between training,
bank, calibration and test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.apron.families import CLUTTER, KNOWN, UNKNOWN
from training.apron.renderer import ASSET_FIRST, STUFF, Placed, Renderer, View
from training.apron.scenes import Scene, draw_scene, place_in_view
from training.apron.solids import Asset
from training.apron.world import World, build_world

SEED_BANK, SEED_CALIBRATION, SEED_CLEAN, SEED_FEW_SHOT, SEED_DEMO, SEED_TEST = (
    2_000_000,
    3_000_000,
    4_000_000,
    5_000_000,
    6_000_000,
    7_000_000,
)
HEIGHT_PX, WIDTH_PX = 224, 392


@dataclass(frozen=True, slots=True)
class LabelledFrame:
    """A picture with its truth: ``label`` [H, W] uint16 into ``names``; ``instance`` [H, W] int16, -1 for stuff."""

    rgb: np.ndarray
    label: np.ndarray
    instance: np.ndarray
    depth_m: np.ndarray
    names: tuple[str, ...]
    condition: str
    lens: str
    world: int
    view: View


@dataclass(frozen=True, slots=True)
class WorldPlan:
    """What one world holds and how it is photographed. ``models``: unknown types drawn from a fixed seed of their own,
    so that the very same object appears in several worlds."""

    seed: int
    world: int
    frames: int
    known: tuple[str, ...] = tuple(KNOWN)
    unknown: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    clutter: int = 0
    known_count: tuple[int, int] = (5, 11)
    unknown_count: tuple[int, int] = (0, 0)
    unknown_patches_high: tuple[float, float] = (2.5, 9.0)
    unknown_share: tuple[float, float] = (0.0, 1.0)  # of the frame's pixels; a frame outside is drawn again


def model_of(family: str) -> Asset:
    """The one object that stands for an unknown type wherever it is registered and seen again."""
    return UNKNOWN[family](np.random.default_rng([SEED_FEW_SHOT, sorted(UNKNOWN).index(family)]))


def frames_of(plan: WorldPlan) -> list[LabelledFrame]:
    """Build the plan's world and photograph it."""
    rng = np.random.default_rng([plan.seed, plan.world])
    known = [KNOWN[f](np.random.default_rng([plan.seed, plan.world, k])) for k, f in enumerate(plan.known)]
    known += [CLUTTER["clutter"](np.random.default_rng([plan.seed, plan.world, 500 + k])) for k in range(plan.clutter)]
    unknown = [UNKNOWN[f](np.random.default_rng([plan.seed, plan.world, 1000 + k])) for k, f in enumerate(plan.unknown)]
    unknown += [model_of(f) for f in plan.models]
    world = build_world([*known, *unknown], rng)
    found: list[LabelledFrame] = []
    with Renderer(world, HEIGHT_PX, WIDTH_PX) as renderer:
        while len(found) < plan.frames:
            frame = _photograph(renderer, world, plan, len(known), rng)
            if frame is not None:
                found.append(frame)
    return found


def _photograph(
    renderer: Renderer, world: World, plan: WorldPlan, known: int, rng: np.random.Generator
) -> LabelledFrame | None:
    scene = draw_scene(world, rng, slots=range(known), count=plan.known_count)
    strange = range(known, len(world.assets))
    placed: Sequence[Placed] = scene.placed
    if plan.unknown_count[1] and len(strange):
        wanted = int(rng.integers(plan.unknown_count[0], plan.unknown_count[1] + 1))
        chosen = rng.permutation(np.asarray(strange))[:wanted]
        first = place_in_view(world, scene.view, chosen, rng, plan.unknown_patches_high)
        placed = place_in_view(world, scene.view, [p.slot for p in scene.placed], rng, (1.5, 11.0), standing=first)
    frame = labelled(renderer, world, Scene(scene.view, tuple(placed), scene.conditions, scene.lens), plan.world, rng)
    share = float((frame.instance >= known).mean())
    return frame if plan.unknown_share[0] <= share <= plan.unknown_share[1] else None


def labelled(renderer: Renderer, world: World, scene: Scene, number: int, rng: np.random.Generator) -> LabelledFrame:
    """Photograph ``scene`` and name every pixel."""
    picture = renderer.shoot(scene.view, scene.placed, scene.conditions, rng)
    instance = np.where(picture.label >= ASSET_FIRST, picture.label.astype(np.int32) - ASSET_FIRST, -1).astype(np.int16)
    names = (*STUFF, *sorted({a.family for a in world.assets}))
    of_slot = np.array([names.index(a.family) for a in world.assets], np.uint16)
    label = np.where(instance >= 0, of_slot[np.maximum(instance, 0)], picture.label).astype(np.uint16)
    return LabelledFrame(
        picture.rgb, label, instance, picture.depth_m, names, scene.conditions.name, scene.lens, number, scene.view
    )
