"""How to adapt a trained trunk: ``python -m training.adaptation --trunk FILE --pictures DIR --out DIR``.

The same heads and classifiers, on the same pictures for as many steps, with the trunk frozen, with LoRA on all or on
the last two blocks, and learning whole. Leaves ``MODE.pt`` for ``training.export_mini`` and a row of figures each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from timm.models.vision_transformer import VisionTransformer

from airside.config import load_settings
from airside.errors import AirsideError, InputError, MismatchError
from airside.model.attention import fuse_qkv
from airside.model.backbone import Backbone
from airside.model.lora import add_lora
from airside.model.positions import PositionPolicy
from training.mini import MINI, RECIPE, Recipe, new_model, ready_device, save, train
from training.network import Mini
from training.pool import Pool

RANK, LAST_BLOCKS = 32, 2
MADE_LIKE = "vit_small_patch14_reg4_dinov2"  # whose layers have the names that the adapters go by


def _lora(trunk: VisionTransformer, blocks: int) -> None:
    depth = len(trunk.blocks)
    add_lora(Backbone(MADE_LIKE, trunk, PositionPolicy.NATIVE), RANK, range(depth - blocks, depth))


WAYS: dict[str, Callable[[VisionTransformer], object]] = {
    "frozen": lambda trunk: trunk.requires_grad_(False),
    "lora_last": lambda trunk: _lora(trunk, LAST_BLOCKS),
    "lora_all": lambda trunk: _lora(trunk, len(trunk.blocks)),
    "full": lambda trunk: trunk.requires_grad_(True),
}


def merged(network: Mini) -> Mini:
    """``network`` with its adapters added into the weights, in place: timm's own names again."""
    for module in list(network.trunk.modules()):
        for name, part in list(module.named_children()):
            if hasattr(part, "merge") and hasattr(part, "get_base_layer"):
                part.merge()
                setattr(module, name, part.get_base_layer())
    fuse_qkv(network.trunk)
    return network


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trunk", type=Path, required=True, help="checkpoint with the trunk's weights, as average")
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=RECIPE)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--worlds", type=int, default=150)
    parser.add_argument("--ways", default=",".join(WAYS))
    args = parser.parse_args()
    try:
        recipe = replace(
            load_settings(Recipe, args.config), steps=args.steps, worlds=args.worlds, warmup=min(50, args.steps // 4)
        )
        device = ready_device(recipe.threads)
        trunk = trunk_weights(args.trunk)
        pool = Pool(args.pictures, recipe.worlds, device)
        for way in args.ways.split(","):
            model = new_model(pool, recipe, MINI, device)
            model.network.trunk.load_state_dict(trunk)
            WAYS[way](model.network.trunk)
            model.to(device)
            learning = sum(p.numel() for p in model.network.trunk.parameters() if p.requires_grad)
            print(f"{way}: {learning:,} trainable parameters in the trunk", flush=True)
            (args.out / way).mkdir(parents=True, exist_ok=True)
            average = train(model, pool, recipe, args.out / way, checkpoint_every=args.steps)
            save(args.out / f"{way}.pt", {"step": args.steps, "average": merged(average).state_dict()})
    except AirsideError as error:
        print(f"training.adaptation: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def trunk_weights(path: Path) -> dict[str, torch.Tensor]:
    """The trunk of a checkpoint of ``training.mini``. Raises :class:`InputError` where there is none."""
    if not path.exists():
        raise InputError(f"{path} does not exist: give a checkpoint of training.mini")
    state = torch.load(path, map_location="cpu", weights_only=True).get("average", {})
    found = {name.removeprefix("trunk."): value for name, value in state.items() if name.startswith("trunk.")}
    if not found:
        raise MismatchError(f"{path} holds no trunk: give a checkpoint of training.mini")
    return found


if __name__ == "__main__":
    sys.exit(main())
