"""Weights of tiny DINOv2 networks with random values, in the layouts that Meta, Hugging Face and timm publish."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

WIDTH, DEPTH, HEADS, SIDE = 32, 3, 2, 4  # C, blocks, heads, patches a side of the training grid
SWIGLU_HIDDEN = 88
TRAINED_PX = (SIDE * 14, SIDE * 14)


def architecture(*, swiglu: bool = False) -> dict[str, Any]:
    """timm's arguments for the same size; for a giant with ``swiglu``."""
    shape = {"embed_dim": WIDTH, "depth": DEPTH, "num_heads": HEADS}
    return shape | ({"mlp_ratio": 2 * SWIGLU_HIDDEN / WIDTH} if swiglu else {})


def name_of(*, registers: bool, swiglu: bool = False) -> str:
    return f"vit_{'giant' if swiglu else 'base'}_patch14_{'reg4_' if registers else ''}dinov2"


def randomise(module: nn.Module, seed: int = 0) -> None:
    """Every parameter random and large enough to matter: nothing may cancel by being zero or one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in sorted(module.named_parameters()):
            value.copy_(_random(name, tuple(value.shape), generator))


def official(*, registers: bool, swiglu: bool = False, seed: int = 0) -> dict[str, Tensor]:
    """As in ``dinov2_vitb14_pretrain.pth``, ``dinov2_vitb14_reg4_pretrain.pth`` and ``dinov2_vitg14_*``."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, WIDTH),
        "pos_embed": (1, 1 + SIDE * SIDE, WIDTH),
        "mask_token": (1, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, 14, 14),
        "patch_embed.proj.bias": (WIDTH,),
        "norm.weight": (WIDTH,),
        "norm.bias": (WIDTH,),
    }
    if registers:
        shapes["register_tokens"] = (1, 4, WIDTH)
    mlp = {"w12": (2 * SWIGLU_HIDDEN, WIDTH), "w3": (WIDTH, SWIGLU_HIDDEN)}
    if not swiglu:
        mlp = {"fc1": (4 * WIDTH, WIDTH), "fc2": (WIDTH, 4 * WIDTH)}
    for block in range(DEPTH):
        linears = {"attn.qkv": (3 * WIDTH, WIDTH), "attn.proj": (WIDTH, WIDTH)}
        linears |= {f"mlp.{name}": shape for name, shape in mlp.items()}
        for name, shape in linears.items():
            shapes[f"blocks.{block}.{name}.weight"] = shape
            shapes[f"blocks.{block}.{name}.bias"] = shape[:1]
        for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "ls1.gamma", "ls2.gamma"):
            shapes[f"blocks.{block}.{name}"] = (WIDTH,)
    generator = torch.Generator().manual_seed(seed)
    return {name: _random(name, shape, generator) for name, shape in sorted(shapes.items())}


def hugging_face(*, registers: bool, swiglu: bool = False) -> Any:
    """A ``transformers`` model, random, in evaluation mode."""
    from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    shape: dict[str, Any] = {
        "hidden_size": WIDTH,
        "num_hidden_layers": DEPTH,
        "num_attention_heads": HEADS,
        "image_size": TRAINED_PX[0],
        "patch_size": 14,
        "use_swiglu_ffn": swiglu,
    }
    model: Any = (
        Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**shape))
        if registers
        else Dinov2Model(Dinov2Config(**shape))
    )
    randomise(model)
    return model.eval()


def saved(model: Any, folder: Path) -> dict[str, Tensor]:
    """What the file holds that ``model.save_pretrained`` writes: the published names."""
    model.save_pretrained(folder)
    return dict(load_file(folder / "model.safetensors"))


def _random(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    values = torch.randn(shape, generator=generator)
    if "norm" in name or "gamma" in name or "lambda" in name or "layer_scale" in name:
        return values * 0.2 + (0 if name.endswith("bias") else 1)
    return values * (0.5 if len(shape) != 2 else 0.15)
