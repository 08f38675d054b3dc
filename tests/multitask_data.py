"""Shards and a recipe small enough to train in a test: two cameras of 28 x 42 px, four transformer blocks."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from airside.geometry.transforms import ego_from_mounted_cam
from training.multitask.recipe import Recipe, recipe_from
from training.multitask.shards import Shard, write_shard

FAMILIES = ("tarmac", "sky", "bus", "cone", "clutter")
STUFF = 2
LAYERS = ("vehicles", "drivable", "markings")
BACKBONE = {
    "name": "vit_small_patch14_reg4_dinov2", "embed_dim": 32, "depth": 4, "num_heads": 2, "weights": "random",
}  # fmt: skip
SCHEDULE = {
    "steps": 6, "batch": 4, "learning_rate": 0.01, "weight_decay": 0.05, "warmup": 2, "clip": 3.0, "seed": 1,
    "report_every": 1, "checkpoint_every": 2, "mixed_precision": True,
}  # fmt: skip
AUGMENTATION = {"mirror": 0.5, "corrupt": 0.5, "lost": 0.2, "light": True}
KEYS: dict[str, Any] = {
    "backbone": BACKBONE,
    "adaptation": {"mode": "lora", "rank": 2, "blocks": 4, "rate": 0.5},
    "schedule": SCHEDULE,
    "weights": {"asset": 1.0, "family": 1.5, "depth": 1.0, "bev": 2.0, "bins": 0.1},
    "tokens": {"min_purity": 0.3, "stuff_weight": 0.3, "stuff_share": 0.5},
    "depth": {"blocks": [0, 1, 2, 3], "features": 8, "out_channels": [4, 4, 8, 8], "max_m": 60.0, "focal_px": 21.0},
    "bev": {"channels": 8, "depth_range_m": [2.0, 22.0], "bins": 10, "positive": [4.0, 1.0, 4.0]},
    "augmentation": AUGMENTATION,
}


def tiny_recipe(**sections: dict[str, Any]) -> Recipe:
    return recipe_from(Recipe, tiny_keys(**sections))


def tiny_keys(**sections: dict[str, Any]) -> dict[str, Any]:
    """The recipe's keys, some of them in some sections changed."""
    keys = copy.deepcopy(KEYS)
    for section, change in sections.items():
        keys[section] |= change
    return keys


def write_recipe(path: Path, **sections: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(tiny_keys(**sections)))
    return path


def tiny_arrays(seed: int = 0, samples: int = 6) -> dict[str, np.ndarray]:
    """The arrays of a shard: coloured noise, far above near, two rigs in turn, much of it unlabelled or unseen."""
    rng = np.random.default_rng(seed)
    asset = rng.integers(-1, len(FAMILIES), (samples, 2, 2, 3)).astype(np.int16)
    colour = rng.integers(0, 256, (len(FAMILIES) + 1, 3))[asset]
    rgb = colour.repeat(14, axis=2).repeat(14, axis=3) + rng.integers(-20, 20, (samples, 2, 28, 42, 3))
    depth_m = rng.uniform(3, 20, (samples, 2, 14, 21))
    depth_m[:, :, :3] = np.inf
    poses = np.stack([_poses(2.0), _poses(8.0)])
    return {
        "rgb": np.clip(rgb, 0, 255).astype(np.uint8),
        "depth_m": depth_m.astype(np.float16),
        "asset": asset,
        "purity": rng.integers(60, 256, asset.shape).astype(np.uint8),
        "bev": (rng.random((samples, 3, 16, 16)) < 0.1).astype(np.uint8),
        "visible": rng.random((samples, 16, 16)) < 0.7,
        "intrinsics": np.tile(np.array([[21.0, 21.0, 20.5, 13.5], [42.0, 42.0, 19.0, 13.5]]), (samples, 1, 1)),
        "ego_from_cam": poses[np.arange(samples) % 2],
        "families": np.array(FAMILIES),
        "stuff": np.array(STUFF),
        "layers": np.array(LAYERS),
        "cell_m": np.array(3.0),
    }


def write_shards(folder: Path, shards: int = 2, samples: int = 6) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(shards):
        write_shard(folder, k, Shard(**tiny_arrays(k, samples)))
    return folder


def _poses(pitch_deg: float) -> np.ndarray:
    ahead = ego_from_mounted_cam((1.0, 0.3, 1.8), yaw_deg=10.0, pitch_deg=pitch_deg, roll_deg=1.0)
    behind = ego_from_mounted_cam((-1.0, 0.0, 1.6), yaw_deg=170.0, pitch_deg=pitch_deg, roll_deg=0.0)
    return np.stack([ahead.matrix, behind.matrix])
