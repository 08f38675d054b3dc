"""Train airside-mini: ``python -m training.mini --pictures DIR --out DIR``.

Its pictures come from ``training.pictures``. Stop it at any time; the same command goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional

from training.apron.renderer import STUFF
from training.apron.scenes import PATCH_PX
from training.augment import augment_light
from training.losses import asset_loss, family_loss
from training.muon import Muon
from training.network import CosineClassifier, MiniConfig, build_mini, normalise, whiten_patch_embedding, window_tokens
from training.pictures import FIRST_ASSET
from training.schedule import half_precision, warm_cosine
from training.warm_start import weights_of_bundle

MINI = MiniConfig()
FOCAL_PX = 196.0  # depth is learned as if seen through this focal length (Metric3D, arXiv 2307.10984, section 3.2)


@dataclass(frozen=True, slots=True)
class Recipe:
    """The training recipe; every field is a key of the YAML file."""

    steps: int
    batch: int
    window: tuple[int, int]  # patches, until ``full_from``
    keep: float  # share of a window's patches the network looks at, things first, until ``full_from``
    full_from: float  # share of the steps after which whole pictures are shown
    learning_rate: float
    weight_decay: float
    warmup: int
    ema: float
    family_weight: float
    depth_weight: float
    stuff_weight: float
    min_purity: float
    seed: int
    threads: int


@dataclass(frozen=True, slots=True)
class Pictures:
    """All shards in memory: ``asset``, ``purity`` and ``log_depth`` (of each patch's centre, as if seen through
    ``FOCAL_PX``; inf: sky) are [N, Hp, Wp], in the order of the shards."""

    rgb: list[np.ndarray]  # one [F, H, W, 3] uint8 a shard, the same F in all
    asset: np.ndarray
    purity: np.ndarray
    log_depth: np.ndarray
    family_of_asset: np.ndarray  # [assets] index into ``families``; len(families): clutter
    families: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.asset)


def load_recipe(path: Path) -> Recipe:
    raw = yaml.safe_load(path.read_text())
    names = {f.name for f in fields(Recipe)}
    if set(raw) != names:
        raise SystemExit(f"{path}: unknown keys {sorted(set(raw) - names)}, missing keys {sorted(names - set(raw))}")
    return Recipe(**{**raw, "window": tuple(raw["window"])})


def load_pictures(folder: Path) -> Pictures:
    """Read every shard; families are the stuff classes followed by the known families in alphabetical order.

    Asset numbers count the assets of all earlier shards, so the shards must be complete and alike.
    """
    rgb, asset, purity, log_depth, owners = [], [], [], [], list(STUFF)
    for k, path in enumerate(sorted(folder.glob("shard[0-9][0-9][0-9].npz"))):
        if path.stem != f"shard{k:03d}":
            raise SystemExit(
                f"{folder} lacks shard{k:03d}.npz; finish it with: python -m training.pictures --out {folder}"
            )
        with np.load(path) as shard:
            rgb.append(shard["rgb"])
            asset.append(shard["asset"])
            purity.append(shard["purity"])
            log_depth.append(canonical_log_depth(shard["depth_m"], shard["view"][:, -1], rgb[-1].shape[2]))
            owners += [str(f) for f in shard["families"]]
            per_shard = len(shard["families"])
        if len(rgb[-1]) != len(rgb[0]) or len(owners) != FIRST_ASSET + (k + 1) * per_shard:
            raise SystemExit(
                f"{path} holds {len(rgb[-1])} frames of {per_shard} assets, unlike the shards before it; "
                "delete the folder and make all pictures anew"
            )
    if not rgb:
        raise SystemExit(f"{folder} holds no pictures; make them with: python -m training.pictures --out {folder}")
    families = (*STUFF, *sorted(set(owners) - set(STUFF) - {"clutter"}))
    index = {name: k for k, name in enumerate(families)} | {"clutter": len(families)}
    return Pictures(
        rgb,
        np.concatenate(asset),
        np.concatenate(purity),
        np.concatenate(log_depth),
        np.array([index[o] for o in owners]),
        families,
    )


def canonical_log_depth(depth_m: np.ndarray, fov_rad: np.ndarray, width_px: int) -> np.ndarray:
    """Depth [F, H / 2, W / 2] and horizontal fields of view [F] -> log depth at patch centres [F, Hp, Wp]."""
    focal_px = width_px / 2 / np.tan(fov_rad / 2)
    half = PATCH_PX // 2
    centres = depth_m[:, half // 2 :: half, half // 2 :: half].astype(np.float32)
    return np.asarray(np.log(centres * (FOCAL_PX / focal_px)[:, None, None]), np.float32)


class Model(nn.Module):
    """The network and the two classifiers and the depth regression that only training needs."""

    def __init__(self, config: MiniConfig, assets: int, families: int) -> None:
        super().__init__()
        self.network = build_mini(config)
        self.assets = CosineClassifier(config.width, assets)
        self.families = CosineClassifier(config.width, families)
        self.depth = nn.Linear(config.width, 1)


@dataclass(frozen=True, slots=True)
class Batch:
    """``x`` [B, 3, h, w] normalised; ``keep`` [B, K] or None: the patches looked at; their truth [B, K]."""

    x: Tensor
    row: int
    col: int
    keep: Tensor | None
    asset: Tensor
    purity: Tensor
    log_depth: Tensor


def draw_batch(
    pictures: Pictures,
    recipe: Recipe,
    window: tuple[int, int],
    keep: float,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> Batch:
    """Windows of random pictures, all at the same place of the patch grid, and the share ``keep`` of their patches."""
    hp, wp = window
    rows, cols = pictures.asset.shape[1:]
    row, col = int(rng.integers(0, rows - hp + 1)), int(rng.integers(0, cols - wp + 1))
    per_shard = len(pictures.rgb[0])
    chosen = rng.integers(0, len(pictures), recipe.batch)
    flips = rng.random(recipe.batch) < 0.5
    images, truths = [], []
    for k, flip in zip(chosen, flips, strict=True):
        step = -1 if flip else 1
        whole = pictures.rgb[k // per_shard][k % per_shard][:, ::step]
        images.append(whole[row * PATCH_PX : (row + hp) * PATCH_PX, col * PATCH_PX : (col + wp) * PATCH_PX])
        dense = np.stack([pictures.asset[k], pictures.purity[k] / np.float32(255), pictures.log_depth[k]])
        truths.append(dense[:, :, ::step][:, row : row + hp, col : col + wp])
    x = normalise(augment_light(torch.from_numpy(np.stack(images)), generator))
    truth = torch.from_numpy(np.stack(truths, axis=1)).flatten(2)  # [3, B, hp * wp] float32
    chosen = None
    if keep < 1:
        urgency = torch.rand(truth.shape[1:], generator=generator) + (truth[0] >= FIRST_ASSET)
        chosen = urgency.topk(round(keep * hp * wp), dim=1, sorted=False).indices
        truth = truth.gather(2, chosen.expand(len(truth), -1, -1))
    return Batch(x, row, col, chosen, truth[0].long(), truth[1], truth[2])


def loss_of(
    model: Model,
    batch: Batch,
    family_of_asset: Tensor,
    recipe: Recipe,
    generator: torch.Generator,
) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch and its figures; ``generator`` draws which stuff patches the asset loss sees."""
    with half_precision(batch.x.device):
        tokens = window_tokens(model.network, batch.x, batch.row, batch.col, batch.keep).flatten(0, 1)
    unit = functional.normalize(tokens.float(), dim=-1)
    asset, purity = batch.asset.flatten(), batch.purity.flatten()
    thing = asset >= FIRST_ASSET
    weight = torch.where(purity >= recipe.min_purity, purity, 0.0) * torch.where(thing, 1.0, recipe.stuff_weight)
    family = family_of_asset[asset]
    few = thing | (torch.rand(len(asset), generator=generator) < 0.15)
    with half_precision(batch.x.device):
        by_asset, by_family = model.assets(unit[few]).float(), model.families(unit).float()
    fine, coarse = asset_loss(by_asset, asset[few], weight[few]), family_loss(by_family, family, weight)
    log_depth = batch.log_depth.flatten()
    solid = log_depth.isfinite()
    depth = (model.depth(tokens.float()).squeeze(1)[solid] - log_depth[solid]).abs().mean()
    with torch.no_grad():
        known = thing & (family < by_family.shape[1])
        right = (by_family.argmax(1) == family)[known].float().mean()
        fine_right = (by_asset.argmax(1) == asset[few])[thing[few]].float().mean()
    loss = fine + recipe.family_weight * coarse + recipe.depth_weight * depth
    figures = {
        "loss": loss.item(),
        "asset": fine.item(),
        "family": coarse.item(),
        "named": right.item(),
        "asset_named": fine_right.item(),
        "depth": depth.item(),
    }
    return loss, figures


def optimisers(model: Model, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for everything else."""
    matrices = [p for p in model.network.blocks.parameters() if p.ndim == 2]
    taken = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in taken]
    return [
        Muon(matrices, lr=recipe.learning_rate, weight_decay=recipe.weight_decay),
        torch.optim.AdamW(rest, lr=recipe.learning_rate, weight_decay=0.0, betas=(0.9, 0.98)),
    ]


def learning_rate_at(step: int, recipe: Recipe) -> float:
    return warm_cosine(step, recipe.steps, recipe.learning_rate, recipe.warmup)


def train(
    pictures: Pictures,
    recipe: Recipe,
    out: Path,
    config: MiniConfig = MINI,
    *,
    start: Path | None = None,
    checkpoint_every: int = 500,
) -> None:
    """Train until ``recipe.steps``, from the checkpoint in ``out`` if there is one, else from the bundle ``start``.

    Everything random in a step is drawn from the recipe's seed and the step's number, so a resumed run repeats an
    uninterrupted one.
    """
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    model = Model(config, len(pictures.family_of_asset), len(pictures.families))
    first_look = draw_batch(
        pictures,
        replace(recipe, batch=128),
        pictures.asset.shape[1:],
        1.0,
        np.random.default_rng(recipe.seed),
        torch.Generator().manual_seed(recipe.seed),
    )
    whiten_patch_embedding(model.network, first_look.x)
    if start is not None:
        lacking = model.network.load_state_dict(weights_of_bundle(start), strict=False)
        if lacking.unexpected_keys or any(not k.startswith("patch_embed.detail") for k in lacking.missing_keys):
            raise SystemExit(f"{start} is not a bundle of this network: {lacking}")
    average = build_mini(config)
    average.load_state_dict(model.network.state_dict())
    opts = optimisers(model, recipe)
    checkpoint, first = out / "checkpoint.pt", 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        for opt, state in zip(opts, saved["optimisers"], strict=True):
            opt.load_state_dict(state)
        first = saved["step"]
    family_of_asset = torch.from_numpy(pictures.family_of_asset)
    began, seen = time.monotonic(), dict.fromkeys(("loss", "asset", "family", "named", "asset_named", "depth"), 0.0)
    for step in range(first, recipe.steps):
        rng = np.random.default_rng([recipe.seed, step])
        generator = torch.Generator().manual_seed(recipe.seed * 7919 + step)
        early = step < recipe.full_from * recipe.steps
        window, keep = (recipe.window, recipe.keep) if early else (pictures.asset.shape[1:], 1.0)
        batch = draw_batch(pictures, recipe, window, keep, rng, generator)
        loss, figures = loss_of(model, batch, family_of_asset, recipe, generator)
        rate = learning_rate_at(step, recipe)
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = rate
            opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 3.0)
        for opt in opts:
            opt.step()
        with torch.no_grad():
            decay = min(recipe.ema, (step + 1) / (step + 10))
            torch._foreach_lerp_(list(average.parameters()), list(model.network.parameters()), 1 - decay)
        seen = {k: 0.98 * seen[k] + 0.02 * figures[k] if step > first else figures[k] for k in seen}
        if (step + 1) % 50 == 0:
            log(out, step + 1, recipe.steps, rate, seen, (time.monotonic() - began) / (step + 1 - first))
        if (step + 1) % checkpoint_every == 0 or step + 1 == recipe.steps:
            save(
                checkpoint,
                {
                    "step": step + 1,
                    "model": model.state_dict(),
                    "average": average.state_dict(),
                    "optimisers": [opt.state_dict() for opt in opts],
                    "families": list(pictures.families),
                },
            )


def save(path: Path, state: dict[str, object]) -> None:
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def log(out: Path, step: int, steps: int, rate: float, seen: dict[str, float], pace_s: float) -> None:
    line = "  ".join(f"{k} {v:.3f}" for k, v in seen.items())
    eta = (steps - step) * pace_s / 60
    print(
        f"\rmini {step}/{steps}  {line}  {pace_s:.2f} s/step  {eta:.0f} min left",
        end="" if sys.stdout.isatty() else "\n",
        flush=True,
    )
    curve = out / "curve.csv"
    new = not curve.exists()
    with curve.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", "rate", *seen])
        writer.writerow([step, f"{rate:.6f}", *(f"{v:.4f}" for v in seen.values())])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("configs/training/mini.yaml"))
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="model bundle whose weights a fresh training starts from")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    train(load_pictures(args.pictures), load_recipe(args.config), args.out, start=args.start)


if __name__ == "__main__":
    main()
