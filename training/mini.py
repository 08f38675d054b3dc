"""Train airside-mini: ``python -m training.mini --pictures DIR --out DIR``.

Its pictures come from ``training.pictures``, also while that is still making them. On a GPU if there is one. Stop it at
any time; the same command goes on from the last checkpoint.
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from airside.config import load_settings
from airside.errors import AirsideError
from airside.model.bev import SimpleBev, depth_probability_from_metric
from airside.progress import Progress
from training.augment import augment_light
from training.batched_lift import Rigs, lift_splat, mirrored, simple_bev
from training.crops import cropped, majority
from training.logbook import CHECKPOINT, TELL_EVERY, means, save, tell
from training.losses import asset_loss, family_loss
from training.multitask.losses import bev_cross_entropy, depth_bin_cross_entropy, intersection_over_union
from training.muon import Muon
from training.network import (
    FOCAL_PX,
    CosineClassifier,
    Mini,
    MiniConfig,
    bev_shape,
    normalise,
    patch_tokens,
    some_rig,
    told_unit_tokens,
    whiten_patch_embedding,
    with_rims,
)
from training.pictures import FIRST_ASSET
from training.pool import FAMILIES, Pool, Truth
from training.schedule import half_precision, warm_cosine
from training.start import start_from
from training.stops import judged_cells, lost_cameras, mirrored_where

MINI = MiniConfig()
RECIPE = Path(__file__).parent.parent / "configs" / "training" / "mini.yaml"
LOOK_EVERY = 5  # steps between looks for new pictures
COMPARED = 1  # stops a step from which Simple-BEV's head learns: its sampling waits for memory
_FIRST_LOOK, IMPRINTED = 128, 32  # pictures at a time


@dataclass(frozen=True, slots=True)
class Recipe:
    """The training recipe; every field is a key of the YAML file."""

    steps: int
    pictures: int  # single ones a step
    stops: int  # of a vehicle with all its cameras, a step
    worlds: int  # room for so many
    learning_rate: float
    weight_decay: float
    warmup: int
    ema: float
    family_weight: float
    depth_weight: float
    thing_depth: float  # a thing's pixels count so many times as much
    bev_weight: float
    bins_weight: float
    bev_positive: tuple[float, float, float]  # a covered cell of a layer counts so many times as much
    lost: float  # share of the stops at which cameras are missing
    stuff_weight: float
    asked: int  # patches a step whose asset is asked for, things first
    min_purity: float
    seed: int
    threads: int


class Model(nn.Module):
    """The network, and what only training needs: two classifiers, and Simple-BEV's head to compare with."""

    def __init__(self, config: MiniConfig, assets: int) -> None:
        super().__init__()
        self.network = Mini(config)
        self.assets = CosineClassifier(config.width, assets)
        self.families = CosineClassifier(config.width, len(FAMILIES))
        self.simple_bev = told_unit_tokens(SimpleBev(config.width, some_rig(config), **bev_shape(config)))


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """``truth`` of single pictures and, after them, of the stops' cameras [S * N]; black ones are of purity 0 and
    without depth. ``alive`` [S, N] bool: cameras that the vehicle has."""

    truth: Truth
    rigs: Rigs | None
    bev: Tensor  # [S, L, X, Y] float32
    visible: Tensor  # [S, X, Y] bool
    alive: Tensor


def draw_batch(pool: Pool, recipe: Recipe, config: MiniConfig, generator: torch.Generator) -> Batch:
    """Pictures and stops at random, each mirrored or not; of many pictures a part, enlarged; at some stops cameras are
    missing, or black."""
    device = generator.device
    chosen = torch.randint(pool.pictures, (recipe.pictures,), device=device, generator=generator)
    rgb, label, depth_m = cropped(
        *(x[chosen] for x in (pool.singles.rgb, pool.singles.label, pool.singles.depth_m)), generator
    )
    own, purity = _by_patch(label, config)
    singles = Truth(rgb, pool.assets(chosen, own), (purity * 255).round().to(torch.uint8), depth_m)
    if pool.stops is None:
        nothing = torch.empty(0, device=device)
        return Batch(singles, None, nothing, nothing, nothing)
    stops, cameras = recipe.stops, pool.stops.intrinsics.shape[1]
    visits = torch.randint(pool.visits, (stops,), device=device, generator=generator)
    turned = torch.rand(stops, device=device, generator=generator) < 0.5
    rows = (visits[:, None] * cameras + torch.arange(cameras, device=device)).flatten()
    seen = _flipped(_rows(pool.stops.pictures, rows), turned.repeat_interleave(cameras))
    black, alive = lost_cameras(stops, cameras, recipe.lost, generator)
    dark = black.flatten()
    seen = Truth(
        torch.where(dark[:, None, None, None], 0, seen.rgb),
        seen.asset,
        torch.where(dark[:, None, None], 0, seen.purity),
        torch.where(dark[:, None, None], torch.inf, seen.depth_m),
    )
    rigs = mirrored(pool.rigs(visits, (config.height_px, config.width_px), config.patch_px), turned)
    bev, visible = (mirrored_where(turned, x[visits]) for x in (pool.stops.bev, pool.stops.visible))
    return Batch(_joined(singles, seen), rigs, bev.float(), visible, alive)


def _by_patch(label: Tensor, config: MiniConfig) -> tuple[Tensor, Tensor]:
    """:func:`majority` of ``label`` [P, h, w] in every patch."""
    return majority(label, label.shape[1] // (config.height_px // config.patch_px))


def _rows(truth: Truth, rows: Tensor) -> Truth:
    return Truth(truth.rgb[rows], truth.asset[rows], truth.purity[rows], truth.depth_m[rows])


def _flipped(truth: Truth, which: Tensor) -> Truth:
    return Truth(*(mirrored_where(which, x, 2) for x in (truth.rgb, truth.asset, truth.purity, truth.depth_m)))


def _joined(a: Truth, b: Truth) -> Truth:
    return Truth(
        torch.cat([a.rgb, b.rgb]),
        torch.cat([a.asset, b.asset]),
        torch.cat([a.purity, b.purity]),
        torch.cat([a.depth_m, b.depth_m]),
    )


def loss_of(
    model: Model, batch: Batch, family_of_asset: Tensor, recipe: Recipe, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch and its figures, all on the device."""
    network, truth = model.network, batch.truth
    x = normalise(augment_light(truth.rgb, generator))
    with half_precision(x.device):
        tokens, depth = network(x)
    loss, figures = _token_losses(model, tokens, truth, family_of_asset, recipe, generator)
    depth_loss = _depth_loss(depth, truth, recipe, network.config.depth_max_m)
    loss = loss + recipe.depth_weight * depth_loss
    figures["depth"] = depth_loss
    if batch.rigs is not None:
        bev_loss, bev_figures = _bev_losses(model, tokens, depth.detach(), batch, recipe)
        loss = loss + bev_loss
        figures |= bev_figures
    return loss, {"loss": loss.detach(), **{name: value.detach() for name, value in figures.items()}}


def _token_losses(
    model: Model, tokens: Tensor, truth: Truth, family_of_asset: Tensor, recipe: Recipe, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    unit, asset = tokens.flatten(0, 2), truth.asset.flatten().long()
    purity, thing = truth.purity.flatten() / 255, asset >= FIRST_ASSET
    weight = torch.where(purity >= recipe.min_purity, purity, 0.0) * torch.where(thing, 1.0, recipe.stuff_weight)
    family = family_of_asset[asset]
    urgency = torch.rand(len(asset), device=asset.device, generator=generator) + 0.85 * thing
    asked = (urgency * (weight > 0)).topk(min(recipe.asked, len(asset)), sorted=False).indices
    with half_precision(tokens.device):
        by_asset, by_family = model.assets(unit[asked]).float(), model.families(unit).float()
    fine, coarse = asset_loss(by_asset, asset[asked], weight[asked]), family_loss(by_family, family, weight)
    known = thing & (weight > 0) & (family < by_family.shape[1])
    with torch.no_grad():
        named = ((by_family.argmax(1) == family) & known).sum() / known.sum().clamp_min(1)
        told = thing[asked]
        asset_named = ((by_asset.argmax(1) == asset[asked]) & told).sum() / told.sum().clamp_min(1)
    return fine + recipe.family_weight * coarse, {
        "asset": fine, "family": coarse, "named": named, "asset_named": asset_named
    }  # fmt: skip


def _depth_loss(depth: Tensor, truth: Truth, recipe: Recipe, max_m: float) -> Tensor:
    """Mean error of log depth, which for small errors is the relative error."""
    wanted = truth.depth_m.float()
    measured = (wanted > 0) & (wanted <= max_m)
    things = (truth.asset >= FIRST_ASSET).repeat_interleave(wanted.shape[1] // truth.asset.shape[1], 1)
    things = things.repeat_interleave(wanted.shape[2] // truth.asset.shape[2], 2)
    weight = torch.where(things, recipe.thing_depth, 1.0) * measured
    error = (depth.clamp_min(0.1).log() - torch.where(measured, wanted, 1.0).log()).abs()
    return (error * weight).sum() / weight.sum().clamp_min(1)


def _bev_losses(
    model: Model, tokens: Tensor, depth: Tensor, batch: Batch, recipe: Recipe
) -> tuple[Tensor, dict[str, Tensor]]:
    assert batch.rigs is not None
    head, (stops, cameras) = model.network.bev, batch.alive.shape
    seen, told, true_m = (
        x[-stops * cameras :].unflatten(0, (stops, cameras)) for x in (tokens, depth, batch.truth.depth_m)
    )
    metres = (batch.rigs.intrinsics[..., 0] / FOCAL_PX)[..., None, None]
    told = with_rims(told.flatten(0, 1)).view_as(told)
    measured = depth_probability_from_metric(told * metres, batch.rigs.patch_grid, head.bins)
    with half_precision(tokens.device):
        logits, probability = lift_splat(head, seen, batch.rigs, batch.alive, measured)
        few = slice(COMPARED)
        compared = simple_bev(model.simple_bev, seen[few], batch.rigs.of(few), batch.alive[few])
    judged = judged_cells(batch.visible, batch.alive, batch.rigs, head.grid)
    bev, compared_loss = (
        bev_cross_entropy(said, batch.bev[: len(said)], judged[: len(said)], recipe.bev_positive).mean
        for said in (logits, compared)
    )
    bins = depth_bin_cross_entropy(probability.float(), true_m.float() * metres, head.bins).mean
    figures = {"bev": bev, "simple_bev": compared_loss, "bins": bins}
    for name, said in (("iou", logits), ("simple_iou", compared)):
        ious = intersection_over_union(said.detach(), batch.bev[: len(said)], judged[: len(said)])
        figures |= {f"{name}_{layer}": iou.mean for layer, iou in zip(head.layers, ious, strict=True)}
    return recipe.bev_weight * (bev + compared_loss) + recipe.bins_weight * bins, figures


def optimisers(model: Model, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for everything else that learns, adapters among it."""
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    blocks = {
        n for n, p in learning.items() if n.startswith("network.trunk.blocks") and p.ndim == 2 and "lora_" not in n
    }
    matrices, rest = ([p for n, p in learning.items() if (n in blocks) is taken] for taken in (True, False))
    fused = rest[0].device.type == "cuda"
    adam = torch.optim.AdamW(rest, lr=recipe.learning_rate, weight_decay=0.0, betas=(0.9, 0.98), fused=fused)
    muon = [Muon(matrices, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)] if matrices else []
    return [*muon, adam]


def new_model(pool: Pool, recipe: Recipe, config: MiniConfig, device: torch.device) -> Model:
    """Random weights, but for a patch embedding that starts at the pictures' principal components."""
    torch.manual_seed(recipe.seed)
    model = Model(config, len(pool.family_of_asset)).to(device)
    whiten_patch_embedding(model.network.trunk, normalise(pool.singles.rgb[: min(_FIRST_LOOK, pool.pictures)]))
    return model


@torch.no_grad()
def imprint(model: Model, pool: Pool, pictures: range, min_purity: float) -> None:
    """Start the direction of every asset in ``pictures`` of ``pool`` at the mean of its tokens there (Qi et al., CVPR
    2018, section 3.2): random directions would first shake a network that is trained already."""
    config, total = model.network.config, torch.zeros_like(model.assets.weight)
    chunks = torch.arange(pictures.start, pictures.stop, device=total.device).split(IMPRINTED)
    with Progress(f"times {IMPRINTED} pictures imprinted", len(chunks)) as progress:
        for chosen in chunks:
            own, purity = _by_patch(pool.singles.label[chosen], config)
            with half_precision(total.device):
                tokens = patch_tokens(model.network.trunk, normalise(pool.singles.rgb[chosen]))
            pure = purity >= min_purity
            asset, unit = pool.assets(chosen, own)[pure].long(), functional.normalize(tokens[pure].float(), dim=-1)
            total.index_add_(0, asset, unit)
            progress.step()
    seen = total.norm(dim=1) > 0
    seen[:FIRST_ASSET] &= pictures.start == 0  # what all worlds share has been learnt since
    model.assets.weight[seen] = functional.normalize(total[seen], dim=1)


def train(
    model: Model,
    pool: Pool,
    recipe: Recipe,
    out: Path,
    *,
    checkpoint_every: int = 500,
    minutes: float = float("inf"),
    imprinting: bool = False,
) -> Mini:
    """Train ``model`` until ``recipe.steps``, from the checkpoint in ``out`` if there is one; its weights' average.
    ``imprinting``: every world that is new to it is imprinted first (:func:`imprint`).

    Everything random in a step is drawn from the recipe's seed and the step's number, so a resumed run repeats an
    uninterrupted one, unless pictures come in meanwhile. With ``minutes`` the learning rate falls by the clock and the
    training ends with it: such a run cannot be repeated to the bit.
    """
    device, config = model.assets.weight.device, model.network.config
    average = copy.deepcopy(model.network)
    opts = optimisers(model, recipe)
    checkpoint, step = out / CHECKPOINT, 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True, map_location=device)
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        for opt, state in zip(opts, saved["optimisers"], strict=True):
            opt.load_state_dict(state)
        step = saved["step"]
    met = pool.pictures if step else 0  # pictures whose assets the model knows
    print(f"mini: {sum(p.numel() for p in average.parameters()):,} parameters on {device}; {pool}", flush=True)
    first, began, since = step, time.monotonic(), []
    spent = 0.0
    generator = torch.Generator(device)
    while step < recipe.steps and spent < 1:
        if step % LOOK_EVERY == 0:
            pool.look_for_more()
        if imprinting and met < pool.pictures:
            imprint(model, pool, range(met, pool.pictures), recipe.min_purity)
            met = pool.pictures
        generator.manual_seed(recipe.seed * 7919 + step)
        loss, figures = loss_of(
            model, draw_batch(pool, recipe, config, generator), pool.family_of_asset, recipe, generator
        )
        spent = (time.monotonic() - began) / 60 / minutes
        rate = warm_cosine(max(step, round(spent * recipe.steps)), recipe.steps, recipe.learning_rate, recipe.warmup)
        if step < recipe.warmup:
            rate = recipe.learning_rate * (step + 1) / recipe.warmup
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = rate
            opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 3.0)
        for opt in opts:
            opt.step()
        step += 1
        with torch.no_grad():
            decay = min(recipe.ema, step / (step + 9))
            torch._foreach_lerp_(list(average.parameters()), list(model.network.parameters()), 1 - decay)
        since.append(figures)
        last = step == recipe.steps or spent >= 1
        if step % TELL_EVERY == 0 or last:
            pace = f"{(time.monotonic() - began) / (step - first):.3f} s/step, {pool.worlds} worlds"
            tell(out, f"mini {step}/{recipe.steps}", step, rate, means(since), pace)
            since.clear()
        if step % checkpoint_every == 0 or last:
            state = {"step": step, "average": average.state_dict(), "model": model.state_dict()}
            save(checkpoint, {**state, "optimisers": [opt.state_dict() for opt in opts]})
    return average


def ready_device(threads: int) -> torch.device:
    """The GPU, if there is one, set up for speed; else the processor with so many threads."""
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = True
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.set_float32_matmul_precision("high")
    return torch.device("cuda")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=RECIPE)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="weights that a fresh training starts from; see training.start")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end by then, at a low learning rate")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        recipe = load_settings(Recipe, args.config)
        device = ready_device(recipe.threads)
        pool = Pool(args.pictures, recipe.worlds, device)
        model = new_model(pool, recipe, MINI, device)
        if args.start is not None:
            start_from(args.start, model)
        train(model, pool, recipe, args.out, minutes=args.minutes, imprinting=args.start is not None)
    except AirsideError as error:
        print(f"training.mini: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
