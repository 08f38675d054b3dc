"""Render the training pictures: ``python -m training.pictures --out DIR``. Resumes; one world, two files.

``DIR/shardNNN.npz`` holds single pictures of the world: ``rgb`` [F, H, W, 3] uint8; of every second pixel ``label``
[F, H / 2, W / 2] uint8 (stuff index, or ``FIRST_ASSET`` + the asset's slot in this world) and ``depth_m`` float16
(inf: sky); ``focal_px`` [F] float32 and ``families`` [A] of the world's assets. ``DIR/rigs/shardNNN.npz`` holds what
six cameras of a vehicle see there (:class:`training.multitask.shards.Shard`), the rig mounted anew at every stop. Some
pictures are stored corrupted.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from airside.config import load_rig
from airside.errors import AirsideError, UsageError
from airside.geometry.bev_grid import BevGrid
from airside.progress import Progress
from training.apron.families import CLUTTER, KNOWN
from training.apron.renderer import ASSET_FIRST, STUFF, Renderer
from training.apron.scenes import draw_scene
from training.apron.solids import Asset
from training.apron.world import World, build_world
from training.corruptions import corrupt_some
from training.multitask.shards import write_shard
from training.rig_frames import VEHICLES, Group, site_of, visit
from training.rig_shards import DEPTH_STRIDE, another_vehicle, shard_from_frames

HEIGHT_PX, WIDTH_PX = 224, 392
FIRST_ASSET = len(STUFF)
CLUTTER_PER_WORLD = 14
MOST_PLACED = 11
CORRUPTED = 0.25  # share of the pictures
SEED_TRAIN = 1_000_000
RIG = Path(__file__).parent.parent / "configs" / "rigs" / "apron6.yaml"
RIGS = "rigs"  # the folder of the rigs' shards
SEED_FILE = "seed.txt"


def shard_assets(shard: int, seed: int = SEED_TRAIN) -> list[Asset]:
    """The assets of one shard's world: one of every known family, and clutter."""
    makers = [*KNOWN.values(), *[CLUTTER["clutter"]] * CLUTTER_PER_WORLD]
    return [make(np.random.default_rng([seed, shard, k])) for k, make in enumerate(makers)]


def render_shard(shard: int, frames: int, stops: int, out: Path, seed: int = SEED_TRAIN) -> None:
    """Both files of one world: ``frames`` single pictures, and ``stops`` of a vehicle with six cameras.

    The single pictures' file comes last: where it is, both are whole.
    """
    rng = np.random.default_rng([seed, shard])
    assets = shard_assets(shard, seed)
    world = build_world(assets, rng)
    with Renderer(world, HEIGHT_PX, WIDTH_PX) as renderer:
        singles = _singles(renderer, frames, rng)
        rig, site, groups = load_rig(RIG), site_of(world), _groups(world)
        seen = [visit(renderer, site, another_vehicle(rig, rng), groups, rng, at_edge=k % 2 == 1) for k in range(stops)]
    if seen:
        write_shard(out / RIGS, shard, shard_from_frames(seen, assets, BevGrid(), CORRUPTED, rng))
    path = shard_path(out, shard)
    part = path.with_suffix(".part.npz")
    np.savez(part, **singles, families=np.array([a.family for a in assets]))
    os.replace(part, path)


def _singles(renderer: Renderer, frames: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    world = renderer.world
    rgb = np.empty((frames, HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    half = frames, HEIGHT_PX // DEPTH_STRIDE, WIDTH_PX // DEPTH_STRIDE
    label, depth_m = np.empty(half, np.uint8), np.empty(half, np.float16)
    focal_px = np.empty(frames, np.float32)
    for k in range(frames):
        scene = draw_scene(world, rng, slots=range(len(world.assets)), count=(5, MOST_PLACED))
        picture = renderer.shoot(scene.view, scene.placed, scene.conditions, rng)
        dense = np.where(picture.label >= ASSET_FIRST, picture.label - ASSET_FIRST + FIRST_ASSET, picture.label)
        label[k] = dense[::DEPTH_STRIDE, ::DEPTH_STRIDE]
        rgb[k] = corrupt_some(picture.rgb[None], CORRUPTED, rng, [picture.depth_m])[0]
        depth_m[k] = picture.depth_m[::DEPTH_STRIDE, ::DEPTH_STRIDE]
        focal_px[k] = scene.view.focal_px
    return {"rgb": rgb, "label": label, "depth_m": depth_m, "focal_px": focal_px}


def _groups(world: World) -> tuple[Group, ...]:
    of: dict[str, list[int]] = {"clutter": [], "vehicle": [], "other": []}
    for slot, asset in enumerate(world.assets):
        of["vehicle" if asset.family in VEHICLES else "clutter" if asset.family in CLUTTER else "other"].append(slot)
    return ((1, 5), of["clutter"]), ((5, 12), of["vehicle"]), ((1, 4), of["other"])


def shard_path(out: Path, shard: int) -> Path:
    return out / f"shard{shard:03d}.npz"


def missing_shards(out: Path, shards: int) -> list[int]:
    return [k for k in range(shards) if not shard_path(out, k).exists()]


def claim(out: Path, seed: int) -> None:
    """Make ``out`` the folder of the worlds of ``seed``. Raises :class:`UsageError` where it holds other worlds: a
    world's number says nothing of its seed, so that two kinds in one folder could not be told apart."""
    (out / RIGS).mkdir(parents=True, exist_ok=True)
    told = out / SEED_FILE
    if told.exists() and told.read_text().strip() != str(seed):
        raise UsageError(f"{out} holds the worlds of --seed {told.read_text().strip()}: give it, or a new folder")
    if not told.exists() and any(out.glob("shard*.npz")):
        raise UsageError(f"{out} holds worlds, and nothing that tells their seed: give a new folder")
    told.write_text(f"{seed}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=200)
    parser.add_argument("--frames", type=int, default=40, help="single pictures of a world")
    parser.add_argument("--stops", type=int, default=6, help="of a vehicle with six cameras in a world")
    parser.add_argument("--seed", type=int, default=SEED_TRAIN, help="other worlds, of other assets")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no world after so long")
    args = parser.parse_args()
    try:
        claim(args.out, args.seed)
    except AirsideError as error:
        parser.exit(2, f"training.pictures: {error}\n")
    os.environ.setdefault("LP_NUM_THREADS", "1")  # Mesa: one thread a worker
    todo, end = missing_shards(args.out, args.shards), time.monotonic() + 60 * args.minutes
    with (
        Progress("worlds", len(todo)) as progress,
        ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool,
    ):
        jobs = [pool.submit(_render_until, end, k, args.frames, args.stops, args.out, args.seed) for k in todo]
        for job in as_completed(jobs):
            job.result()
            progress.step()


def _render_until(end: float, shard: int, frames: int, stops: int, out: Path, seed: int) -> None:
    if time.monotonic() < end:
        render_shard(shard, frames, stops, out, seed)


if __name__ == "__main__":
    main()
