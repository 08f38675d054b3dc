"""Worlds of pictures small enough to train airside-mini on in a test: 56 x 70 px, two cameras on a vehicle."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from airside.geometry.bev_grid import BevGrid
from airside.geometry.transforms import ego_from_mounted_cam
from training.apron.renderer import STUFF
from training.mini import Recipe
from training.multitask.shards import Shard, write_shard
from training.network import MiniConfig
from training.pictures import RIGS, shard_path

TINY = MiniConfig(
    height_px=56, width_px=70, width=32, depth=2, heads=2, depth_blocks=(0, 0, 1, 1), depth_features=4,
    depth_channels=(4, 4, 4, 4), bev_channels=8, bev_grid=BevGrid(32, 24, 2.5),
)  # fmt: skip
RECIPE = Recipe(
    steps=6, pictures=3, stops=2, worlds=2, learning_rate=0.01, weight_decay=0.05, warmup=2, ema=0.99,
    family_weight=1.0, depth_weight=1.0, thing_depth=3.0, bev_weight=1.0, bins_weight=0.05,
    bev_positive=(2.5, 1.0, 3.0), lost=0.5, stuff_weight=0.3, asked=40, min_purity=0.3, seed=1, threads=1,
)  # fmt: skip
THINGS = ("bus", "cone", "clutter")
GRID, HALF = (4, 5), (28, 35)


def write_world(
    folder: Path, world: int, *, frames: int = 4, stops: int = 2, families: tuple[str, ...] = THINGS
) -> None:
    """Every patch is painted in the colour of its label, and as deep as its label says."""
    rng = np.random.default_rng(world)
    painted = _painted(rng, (frames,), len(families))
    singles = {
        "rgb": painted["rgb"],
        "label": _grown(painted["asset"], 7).astype(np.uint8),
        "depth_m": painted["depth_m"],
    }
    if stops:
        (folder / RIGS).mkdir(exist_ok=True)
        write_shard(folder / RIGS, world, _rig_shard(rng, stops, families))
    np.savez(
        shard_path(folder, world),
        **singles,
        focal_px=np.full(frames, 98, np.float32),  # half of FOCAL_PX: twice as far
        families=np.array(families),
    )


def _painted(rng: np.random.Generator, shape: tuple[int, ...], things: int) -> dict[str, np.ndarray]:
    asset = rng.integers(0, len(STUFF) + things, (*shape, *GRID)).astype(np.int16)
    return {
        "rgb": _grown(asset, 14)[..., None].repeat(3, -1).astype(np.uint8) * 20 + 10,
        "asset": asset,
        "purity": (asset * 20 + 40).astype(np.uint8),
        "depth_m": (_grown(asset, 7) + 1).astype(np.float16),
    }


def _grown(patches: np.ndarray, times: int) -> np.ndarray:
    return patches.repeat(times, -2).repeat(times, -1)


def _rig_shard(rng: np.random.Generator, stops: int, families: tuple[str, ...]) -> Shard:
    poses = [ego_from_mounted_cam((0.5, 0, 1.8), yaw_deg=yaw, pitch_deg=5, roll_deg=0).matrix for yaw in (0, 120)]
    return Shard(
        **_painted(rng, (stops, 2), len(families)),
        bev=rng.integers(0, 2, (stops, 3, *TINY.bev_grid.shape)).astype(np.uint8),
        visible=rng.random((stops, *TINY.bev_grid.shape)) < 0.5,
        intrinsics=np.full((stops, 2, 4), (40.0, 40.0, 34.5, 27.5)),
        ego_from_cam=np.array([poses] * stops),
        families=np.array([*STUFF, *families]),
        stuff=np.array(len(STUFF), np.int64),
        layers=np.array(("vehicles", "drivable", "markings")),
        cell_m=np.array(TINY.bev_grid.cell_m),
    )
