"""Train the bird's-eye head alone: ``python -m training.bev_head --checkpoint FILE --pictures DIR --out DIR``.

Trunk and depth of the checkpoint stay as they are, so what they say of every stop and of its mirror image is made once,
and a step is cheap enough for a processor. Stop it at any time; the same command goes on. Leaves a checkpoint of the
whole network, for ``training.export_mini`` and ``training.start``.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from airside.config import load_settings
from airside.errors import AirsideError
from airside.geometry.lift_map import depth_probability_from_metric
from airside.model.bev import LiftSplat
from airside.progress import Progress
from training.augment import augment_light
from training.batched_lift import Rigs, lift_splat, mirrored
from training.logbook import CHECKPOINT, TELL_EVERY, means, save, tell
from training.multitask.losses import bev_cross_entropy, depth_bin_cross_entropy, intersection_over_union
from training.multitask.shards import Shard, map_arrays, open_shard, shard_paths
from training.network import FOCAL_PX, Mini, MiniConfig, normalise, with_rims
from training.pictures import RIGS
from training.schedule import half_precision, warm_cosine
from training.start import read_checkpoint
from training.stops import judged_cells, lost_cameras, mirrored_where

RECIPE = Path(__file__).parent.parent / "configs" / "training" / "bev_head.yaml"
SEEN = "seen"
MINI = MiniConfig()


@dataclass(frozen=True, slots=True)
class Recipe:
    """The recipe; every field is a key of the YAML file, of the same meaning as in ``training.mini``."""

    steps: int
    stops: int
    learning_rate: float
    weight_decay: float
    warmup: int
    ema: float
    bins_weight: float
    bev_positive: tuple[float, float, float]
    lost: float
    seed: int
    threads: int


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Of S stops, as seen and mirrored, mapped: ``tokens`` [S, 2, N, Hp, Wp, C] float16 of unit length; ``measured``
    [S, 2, N, D, Hp, Wp] float16, the share of a patch's pixels in each depth bin. ``truth`` of the stops."""

    tokens: np.ndarray
    measured: np.ndarray
    truth: Shard


class Stops(NamedTuple):
    """Stops of vehicles. ``tokens`` [S, N, Hp, Wp, C] and ``measured`` [S, N, D, Hp, Wp] float32; ``alive`` [S, N]
    bool: cameras that the vehicle has; ``depth_m`` [S, N, H / 2, W / 2] float32, ``bev`` [S, L, X, Y] float32,
    ``visible`` [S, X, Y] bool."""

    tokens: Tensor
    measured: Tensor
    rigs: Rigs
    alive: Tensor
    depth_m: Tensor
    bev: Tensor
    visible: Tensor


def seen_worlds(network: Mini, shards: Sequence[Path], folder: Path, seed: int) -> list[World]:
    """The worlds of ``shards``; what ``folder`` lacks of what the network says of them is made, of pictures in changed
    light."""
    folder.mkdir(parents=True, exist_ok=True)
    lacking = [path for path in shards if not _seen_path(folder, path).exists()]
    with Progress("worlds seen", len(lacking)) as progress:
        for path in lacking:
            generator = torch.Generator().manual_seed(seed * 7919 + int(path.stem.removeprefix("shard")))
            part = _seen_path(folder, path).with_suffix(".part.npz")
            np.savez(part, **_seen(network, open_shard(path), generator))
            os.replace(part, _seen_path(folder, path))
            progress.step()
    return [World(**map_arrays(_seen_path(folder, path)), truth=open_shard(path)) for path in shards]


def _seen_path(folder: Path, shard: Path) -> Path:
    return folder / f"{shard.stem}.npz"


@torch.inference_mode()
def _seen(network: Mini, shard: Shard, generator: torch.Generator) -> dict[str, np.ndarray]:
    tokens, measured = [], []
    for rgb, intrinsics in zip(shard.rgb, shard.intrinsics, strict=True):
        pictures = torch.tensor(rgb)
        focal_px = torch.tensor(intrinsics[:, 0], dtype=torch.float32)
        both = augment_light(torch.cat([pictures, pictures.flip(2)]), generator)
        seen = looked_at(network, both, focal_px.repeat(2))
        for rows, found in zip((tokens, measured), seen, strict=True):
            rows.append(found.unflatten(0, (2, len(rgb))).half().numpy())
    return {"tokens": np.stack(tokens), "measured": np.stack(measured)}


def looked_at(network: Mini, pictures: Tensor, focal_px: Tensor) -> tuple[Tensor, Tensor]:
    """[B, H, W, 3] in 0..255 seen through ``focal_px`` [B] -> tokens [B, Hp, Wp, C] of unit length, and the share of a
    patch's pixels in each depth bin, [B, D, Hp, Wp]."""
    with half_precision(pictures.device):
        tokens, depth = network(normalise(pictures))
    metric = with_rims(depth).numpy() * (focal_px / FOCAL_PX)[:, None, None].numpy()
    return tokens, torch.from_numpy(depth_probability_from_metric(metric, tokens.shape[1:3], network.bev.bins))


def draw_stops(
    worlds: Sequence[World],
    dark: tuple[Tensor, Tensor],
    recipe: Recipe,
    config: MiniConfig,
    generator: torch.Generator,
) -> Stops:
    """Stops at random, each mirrored or not; at some cameras are missing, or black: what is seen then is ``dark``,
    tokens [Hp, Wp, C] and measured [D, Hp, Wp]."""
    a_world = len(worlds[0].truth.bev)
    where = torch.randint(len(worlds) * a_world, (recipe.stops,), generator=generator).tolist()
    turned = torch.rand(recipe.stops, generator=generator) < 0.5
    chosen = [(worlds[at // a_world], at % a_world) for at in where]

    def column(name: str) -> Tensor:
        return torch.tensor(np.stack([getattr(world.truth, name)[stop] for world, stop in chosen]))

    ways = [(world, stop, int(mirror)) for (world, stop), mirror in zip(chosen, turned, strict=True)]
    tokens, measured = (
        torch.tensor(np.stack([getattr(world, name)[stop, way] for world, stop, way in ways])).float()
        for name in ("tokens", "measured")
    )
    black, alive = lost_cameras(recipe.stops, tokens.shape[1], recipe.lost, generator)
    size_px = config.height_px, config.width_px
    rigs = Rigs(column("intrinsics").float(), column("ego_from_cam").float(), size_px, config.patch_px)
    depth_m, bev, visible = column("depth_m").float(), column("bev").float(), column("visible")
    unlit = black[..., None, None, None]
    return Stops(
        torch.where(unlit, dark[0], tokens),
        torch.where(unlit, dark[1], measured),
        mirrored(rigs, turned),
        alive,
        torch.where(unlit[..., 0], torch.inf, mirrored_where(turned, depth_m)),
        mirrored_where(turned, bev),
        mirrored_where(turned, visible),
    )


def loss_of(head: LiftSplat, stops: Stops, recipe: Recipe) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a step and its figures."""
    with half_precision(stops.tokens.device):
        logits, probability = lift_splat(head, stops.tokens, stops.rigs, stops.alive, stops.measured)
    judged = judged_cells(stops.visible, stops.alive, stops.rigs, head.grid)
    sums = {
        "bev": bev_cross_entropy(logits, stops.bev, judged, recipe.bev_positive),
        "bins": depth_bin_cross_entropy(probability.float(), stops.depth_m, head.bins),
    }
    ious = intersection_over_union(logits.detach(), stops.bev, judged)
    sums |= {f"iou_{layer}": iou for layer, iou in zip(head.layers, ious, strict=True)}
    figures = {name: s.mean for name, s in sums.items()}
    loss = figures["bev"] + recipe.bins_weight * figures["bins"]
    return loss, {name: value.detach() for name, value in figures.items()}


def train(
    network: Mini,
    worlds: Sequence[World],
    recipe: Recipe,
    out: Path,
    *,
    others: dict[str, Tensor] | None = None,
    checkpoint_every: int = 250,
) -> Mini:
    """Train ``network.bev`` until ``recipe.steps``, from the checkpoint in ``out`` if there is one; returns the network
    with the average of its weights. ``others``: tensors that the checkpoint carries on as its ``model``.

    Everything random in a step is drawn from the recipe's seed and the step's number: a resumed run repeats an
    uninterrupted one.
    """
    head, average = network.bev, copy.deepcopy(network)
    opt = torch.optim.AdamW(head.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    checkpoint, step = out / CHECKPOINT, 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        head.load_state_dict(saved["head"])
        average.load_state_dict(saved["average"])
        opt.load_state_dict(saved["optimiser"])
        step = saved["step"]
    stops = sum(len(world.truth.bev) for world in worlds)
    print(f"bev head: {sum(p.numel() for p in head.parameters()):,} parameters; {len(worlds)} worlds, {stops} stops")
    config = network.config
    black = torch.zeros(1, config.height_px, config.width_px, 3)
    with torch.inference_mode():
        (tokens,), (measured,) = looked_at(network, black, torch.tensor([FOCAL_PX]))
    dark = tokens.clone(), measured.clone()
    first, began, since = step, time.monotonic(), []
    generator = torch.Generator()
    while step < recipe.steps:
        generator.manual_seed(recipe.seed * 7919 + step)
        loss, figures = loss_of(head, draw_stops(worlds, dark, recipe, config, generator), recipe)
        rate = warm_cosine(step, recipe.steps, recipe.learning_rate, recipe.warmup)
        for group in opt.param_groups:
            group["lr"] = rate
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(head.parameters(), 3.0)
        opt.step()
        step += 1
        with torch.no_grad():
            decay = min(recipe.ema, step / (step + 9))
            torch._foreach_lerp_(list(average.bev.parameters()), list(head.parameters()), 1 - decay)
        since.append({"loss": loss.detach(), **figures})
        if step % TELL_EVERY == 0 or step == recipe.steps:
            pace_s = (time.monotonic() - began) / (step - first)
            tell(out, f"bev head {step}/{recipe.steps}", step, rate, means(since), f"{pace_s:.2f} s/step")
            since.clear()
        if step % checkpoint_every == 0 or step == recipe.steps:
            state = {"step": step, "average": average.state_dict(), "model": others or {}, "head": head.state_dict()}
            save(checkpoint, {**state, "optimiser": opt.state_dict()})
    return average


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=RECIPE)
    parser.add_argument("--checkpoint", type=Path, required=True, help="of training.mini")
    parser.add_argument("--pictures", type=Path, required=True, help="of training.pictures")
    parser.add_argument("--worlds", type=int, help="only the first so many")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        recipe = load_settings(Recipe, args.config)
        torch.set_num_threads(recipe.threads)
        network, others = read_checkpoint(args.checkpoint, MINI)
        network.requires_grad_(False)
        worlds = seen_worlds(network, shard_paths(args.pictures / RIGS)[: args.worlds], args.out / SEEN, recipe.seed)
        network.bev.requires_grad_(True)
        train(network, worlds, recipe, args.out, others=others)
    except AirsideError as error:
        print(f"training.bev_head: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
