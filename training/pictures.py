"""Render the training pictures: ``python -m training.pictures --out DIR``. Resumes; one shard file per world.

A shard holds ``rgb`` [F, H, W, 3] uint8, ``asset`` [F, Hp, Wp] int16 (stuff index, or ``FIRST_ASSET`` + asset number),
``purity`` [F, Hp, Wp] uint8 (share of the patch that shows it, 0..255), ``depth_m`` [F, H / 2, W / 2] float16 (every
second pixel; inf: sky), ``view`` [F, 7] float32 (:class:`View` up to its field of view), ``placed`` [F, K, 4] float32
(slot, x, y, yaw; slot -1: nothing) and ``size_m`` [A, 3] of the shard's assets: enough to make depth and
bird's-eye-view truth. The ground is drawn again by ``shard_ground``.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from training.apron.families import CLUTTER, KNOWN
from training.apron.ground import Ground, draw_ground
from training.apron.renderer import ASSET_FIRST, STUFF, Renderer
from training.apron.scenes import PATCH_PX, draw_scene
from training.apron.solids import Asset
from training.apron.world import build_world

HEIGHT_PX, WIDTH_PX = 224, 392
FIRST_ASSET = len(STUFF)
CLUTTER_PER_WORLD = 14
MOST_PLACED = 11
DEPTH_STRIDE = 2
SEED_TRAIN = 1_000_000


def shard_assets(shard: int) -> list[Asset]:
    """The assets of one shard's world: one of every known family, and clutter."""
    makers = [*KNOWN.values(), *[CLUTTER["clutter"]] * CLUTTER_PER_WORLD]
    return [make(np.random.default_rng([SEED_TRAIN, shard, k])) for k, make in enumerate(makers)]


def shard_ground(shard: int) -> Ground:
    """The ground of a shard's world: the first thing its generator draws."""
    return draw_ground(np.random.default_rng([SEED_TRAIN, shard]))


def patch_labels(label: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Majority label and its share per patch: ``label`` [H, W] below ``classes`` -> ([Hp, Wp], [Hp, Wp] 0..1)."""
    h, w = label.shape
    rows, cols = h // PATCH_PX, w // PATCH_PX
    cells = label[: rows * PATCH_PX, : cols * PATCH_PX].reshape(rows, PATCH_PX, cols, PATCH_PX)
    cells = cells.transpose(0, 2, 1, 3).reshape(rows * cols, -1).astype(np.int64)
    counts = np.bincount((np.arange(len(cells))[:, None] * classes + cells).ravel(), minlength=len(cells) * classes)
    counts = counts.reshape(len(cells), classes)
    return counts.argmax(1).reshape(rows, cols), (counts.max(1) / PATCH_PX**2).reshape(rows, cols)


def render_shard(shard: int, frames: int, path: Path) -> None:
    rng = np.random.default_rng([SEED_TRAIN, shard])
    assets = shard_assets(shard)
    world = build_world(assets, rng)
    rgb = np.empty((frames, HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    asset = np.empty((frames, HEIGHT_PX // PATCH_PX, WIDTH_PX // PATCH_PX), np.int16)
    purity = np.empty(asset.shape, np.uint8)
    depth_m = np.empty((frames, HEIGHT_PX // DEPTH_STRIDE, WIDTH_PX // DEPTH_STRIDE), np.float16)
    view = np.empty((frames, 7), np.float32)
    placed = np.full((frames, MOST_PLACED, 4), -1, np.float32)
    with Renderer(world, HEIGHT_PX, WIDTH_PX) as renderer:
        for k in range(frames):
            scene = draw_scene(world, rng, slots=range(len(assets)), count=(5, MOST_PLACED))
            picture = renderer.shoot(scene.view, scene.placed, scene.conditions, rng)
            dense = np.where(picture.label >= ASSET_FIRST, picture.label - ASSET_FIRST + FIRST_ASSET, picture.label)
            local, share = patch_labels(dense, FIRST_ASSET + len(assets))
            first = FIRST_ASSET + shard * len(assets)
            asset[k] = np.where(local >= FIRST_ASSET, local - FIRST_ASSET + first, local)
            rgb[k], purity[k] = picture.rgb, np.round(share * 255)
            depth_m[k] = picture.depth_m[::DEPTH_STRIDE, ::DEPTH_STRIDE]
            camera = scene.view
            view[k] = (*camera.xyz_m, camera.yaw_rad, camera.pitch_rad, camera.roll_rad, camera.horizontal_fov_rad)
            for row, item in enumerate(scene.placed):
                placed[k, row] = item.slot, item.x_m, item.y_m, item.yaw_rad
    families = [a.family for a in assets]
    part = path.with_suffix(".part.npz")
    np.savez(
        part,
        rgb=rgb,
        asset=asset,
        purity=purity,
        depth_m=depth_m,
        view=view,
        placed=placed,
        size_m=np.array([a.size_m for a in assets], np.float32),
        families=np.array(families),
    )
    part.rename(path)


def missing_shards(out: Path, shards: int) -> list[int]:
    return [k for k in range(shards) if not (out / f"shard{k:03d}.npz").exists()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=200)
    parser.add_argument("--frames", type=int, default=50, help="per shard")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("LP_NUM_THREADS", "1")  # Mesa: one thread a worker
    todo, start = missing_shards(args.out, args.shards), time.monotonic()
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(render_shard, k, args.frames, args.out / f"shard{k:03d}.npz") for k in todo]
        for done, job in enumerate(as_completed(jobs), 1):
            job.result()
            print(
                f"\rpictures: {done}/{len(todo)} shards, {time.monotonic() - start:.0f} s",
                end="" if sys.stdout.isatty() else "\n",
                flush=True,
            )


if __name__ == "__main__":
    main()
