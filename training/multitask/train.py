"""Train tokens, depth and bird's-eye view: ``python -m training.multitask.train --config FILE --data DIR --out DIR``.

On several GPUs, or processors: ``torchrun --nproc-per-node 2 -m training.multitask.train ...``. Stop it at any time;
the same command goes on from the last checkpoint, also with another number of processes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from airside.errors import AirsideError, InputError
from airside.geometry.splat_table import NetworkRig
from training.losses import asset_loss, family_loss
from training.multitask import losses
from training.multitask.batches import Batch, Labels, Samples, draw_batch, load_samples
from training.multitask.loop import CHECKPOINT, Task, train
from training.multitask.losses import Sum
from training.multitask.network import MultiTask, Outputs, build_backbone
from training.multitask.processes import Processes, joined
from training.multitask.recipe import BackboneRecipe, Recipe, load_recipe, recipe_from

NAME = "multitask"


class Objective(nn.Module):
    """A batch through the network, and every task's sums."""

    def __init__(self, network: MultiTask) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch) -> dict[str, Sum]:
        out = self.network(batch.rgb, batch.rigs, batch.asked)
        return {**_token_sums(out, batch), **self._depth_sums(out, batch), **self._bev_sums(out, batch)}

    def _depth_sums(self, out: Outputs, batch: Batch) -> dict[str, Sum]:
        if out.depth_m is None:
            return {}
        on_odd = batch.mirrored[:, None, None, None]
        said = torch.where(on_odd, out.depth_m[..., ::2, 1::2], out.depth_m[..., ::2, ::2]).flatten(0, 1)
        truth, max_m = batch.depth_m.flatten(0, 1), self.network.recipe.depth.max_m
        return {
            "depth": losses.scale_invariant_depth(said, truth, max_m),
            "depth_absrel": losses.absolute_relative_error(said.detach(), truth, max_m),
        }

    def _bev_sums(self, out: Outputs, batch: Batch) -> dict[str, Sum]:
        if out.bev is None:
            return {}
        recipe, layers = self.network.recipe.bev, self.network.labels.layers
        logits, probability = out.bev
        assert probability is not None
        ious = losses.intersection_over_union(logits.detach(), batch.bev, batch.visible)
        return {
            "bev": losses.bev_cross_entropy(logits, batch.bev, batch.visible, recipe.positive),
            "bins": losses.depth_bin_cross_entropy(probability, batch.depth_m, recipe.depth_bins),
            **{f"iou_{layer}": iou for layer, iou in zip(layers, ious, strict=True)},
        }


def _token_sums(out: Outputs, batch: Batch) -> dict[str, Sum]:
    weight, asked = batch.weight.flatten(), batch.weight[batch.asked]
    by_family, family = out.family_cosine.float().flatten(0, 3), batch.family.flatten()
    by_asset, asset = out.asset_cosine.float(), batch.asset[batch.asked]
    known = (weight > 0) & (family < by_family.shape[1])
    return {
        "asset": _undivided(asset_loss(by_asset, asset, asked), asked.sum()),
        "family": _undivided(family_loss(by_family, family, weight), weight.sum()),
        "family_named": Sum(((by_family.argmax(dim=1) == family) & known).sum(), known.sum()),
        "asset_named": Sum((by_asset.argmax(dim=1) == asset).sum(), torch.tensor(len(asset), device=asset.device)),
    }


def _undivided(mean: torch.Tensor, weight: torch.Tensor) -> Sum:
    """The sum behind a weighted mean of ``training.losses``, which never divides by less than 1e-6."""
    return Sum(mean * weight.clamp_min(1e-6), weight)


def train_multitask(recipe: Recipe, samples: Samples, out: Path, processes: Processes) -> MultiTask:
    """Train, or go on training, in the folder ``out``; the network at the end of it."""
    torch.manual_seed(recipe.schedule.seed)
    backbone = build_backbone(recipe.backbone, samples.labels.image_size)
    network = MultiTask(backbone, recipe, samples.labels, samples.rig(0))
    if processes.is_first:
        print(f"{NAME}: {network}; {len(samples)} samples, {processes.world} processes", flush=True)
    schedule = recipe.schedule

    def draw(step: int, slots: range) -> Batch:
        return draw_batch(samples, recipe.tokens, recipe.augmentation, schedule.seed, step, schedule.batch, slots)

    weights = {name: weight for name, weight in asdict(recipe.weights).items() if weight > 0}
    facts = json.loads(json.dumps({"recipe": asdict(recipe), "labels": asdict(samples.labels)}))
    task = Task(NAME, Objective(network), _groups(network, recipe.adaptation.rate), weights, draw, facts)
    train(task, schedule, processes, out)
    return network


def load_trained(out: Path, rig: NetworkRig) -> MultiTask:
    """The network of the checkpoint in ``out``, looking through ``rig``, in evaluation mode on the CPU."""
    path = out / CHECKPOINT
    if not path.exists():
        raise InputError(f"{path} does not exist: train first, or name the folder that was --out")
    saved = torch.load(path, map_location="cpu", weights_only=True)
    recipe, labels = (recipe_from(kind, saved["facts"][key]) for kind, key in ((Recipe, "recipe"), (Labels, "labels")))
    shape: BackboneRecipe = recipe.backbone
    untrained = BackboneRecipe(shape.name, shape.embed_dim, shape.depth, shape.num_heads, "random")
    network = MultiTask(build_backbone(untrained, labels.image_size), recipe, labels, rig)
    Objective(network).load_state_dict(saved["model"])
    return network.eval()


def _groups(network: MultiTask, rate: float) -> list[dict[str, Any]]:
    own = [p for p in network.backbone.parameters() if p.requires_grad]
    taken = {id(p) for p in own}
    heads = [p for p in network.parameters() if p.requires_grad and id(p) not in taken]
    return [{"params": own, "share": rate}, {"params": heads, "share": 1.0}]


def run_command(doc: str | None, work: Callable[[argparse.Namespace, Processes], None], **options: str) -> None:
    """``--config``, ``--data``, ``--out`` and the required ``options``, then ``work``; what airside refuses ends the
    process with its exit code."""
    parser = argparse.ArgumentParser(description=doc)
    for name, told in {
        "config": "YAML recipe", "data": "folder of shards", "out": "folder of the training", **options
    }.items():  # fmt: skip
        parser.add_argument(f"--{name}", type=Path, required=True, help=told)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with joined() as processes:
        try:
            work(args, processes)
        except AirsideError as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            sys.exit(error.exit_code)


def _work(args: argparse.Namespace, processes: Processes) -> None:
    train_multitask(load_recipe(Recipe, args.config), load_samples(args.data), args.out, processes)


if __name__ == "__main__":
    run_command(__doc__, _work)
