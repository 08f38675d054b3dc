"""Weights files of DINOv2 and DINOv3 as Meta, Hugging Face and timm name them, brought to timm's names and shapes.

The layout is told from the keys. Nothing is guessed: a key too many, one too few or another shape is an error.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from airside.errors import CorruptError, InputError, MismatchError
from airside.model.positions import PositionPolicy, resample_positions

_SHOWN = 6
PICKLES = (".pth", ".pt", ".bin", ".ckpt", ".pkl")


class Layout(enum.StrEnum):
    """Who named the tensors of a weights file."""

    OFFICIAL = "Meta's official"
    HUGGING_FACE = "Hugging Face transformers"
    TIMM = "timm"


# Tensors only pre-training used, and constants a network computes for itself.
_UNUSED = re.compile(
    r"mask_token|embeddings\.mask_token|rope_embed\.periods|.*\.attn\.qkv\.bias_mask|local_cls_norm\..*"
)

_OFFICIAL = (
    (r"^register_tokens$|^storage_tokens$", "reg_token"),
    (r"\.mlp\.w12\.", ".mlp.fc1."),
    (r"\.mlp\.w1\.", ".mlp.fc1_g."),
    (r"\.mlp\.w2\.", ".mlp.fc1_x."),
    (r"\.mlp\.w3\.", ".mlp.fc2."),
)
_HUGGING_FACE = (
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.register_tokens$", "reg_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.(projection\.)?", "patch_embed.proj."),
    (r"^layernorm\.", "norm."),
    (r"^(encoder|model)?\.?layer\.(\d+)\.", r"blocks.\2."),
    (r"\.attention\.attention\.(q)uery\.|\.attention\.(q)_proj\.", ".attn.q."),
    (r"\.attention\.attention\.(k)ey\.|\.attention\.(k)_proj\.", ".attn.k."),
    (r"\.attention\.attention\.(v)alue\.|\.attention\.(v)_proj\.", ".attn.v."),
    (r"\.attention\.output\.dense\.|\.attention\.o_proj\.", ".attn.proj."),
    (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
    (r"\.mlp\.weights_in\.", ".mlp.fc1."),
    (r"\.mlp\.(weights_out|down_proj)\.", ".mlp.fc2."),
    (r"\.mlp\.gate_proj\.", ".mlp.fc1_g."),
    (r"\.mlp\.up_proj\.", ".mlp.fc1_x."),
)


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, under the file's own names.

    Raises:
        InputError: there is no such file, or it is a pickle; the message says the command that converts it.
        CorruptError: it is no readable safetensors file.
    """
    if path.suffix in PICKLES:
        raise InputError(
            f"{path} is a pickle, which can run code when opened, so airside does not load it; convert it once: "
            f"airside convert {path} {path.with_suffix('.safetensors')}"
        )
    if not path.is_file():
        raise InputError(f"there is no weights file {path}; give a safetensors file")
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise CorruptError(f"{path} cannot be read as safetensors ({error}); fetch it again") from error


def layout_of(tensors: Mapping[str, Tensor]) -> Layout:
    """Whose names these are. Raises :class:`MismatchError` when they are no DINOv2's or DINOv3's."""
    if "embeddings.cls_token" in tensors:
        return Layout.HUGGING_FACE
    if "cls_token" in tensors and "patch_embed.proj.weight" in tensors:
        meta = {"mask_token", "register_tokens", "storage_tokens"} & tensors.keys()
        return Layout.OFFICIAL if meta else Layout.TIMM
    raise MismatchError(
        f"these are no weights of a DINOv2 or DINOv3 transformer: wanted cls_token or embeddings.cls_token among the "
        f"keys, got {some_keys(tensors)}"
    )


def timm_weights(
    tensors: Mapping[str, Tensor], network: VisionTransformer | Eva, *, origin: str
) -> tuple[dict[str, Tensor], PositionPolicy]:
    """What ``network.load_state_dict`` takes, float32, positions on the network's own grid, and how they came there.

    ``origin`` names the weights in messages. Raises :class:`MismatchError` naming the keys that are missing,
    unexpected or of another shape, and :class:`CorruptError` naming those that hold NaN or infinite values.
    """
    layout = layout_of(tensors)
    named = _renamed(tensors, layout)
    if isinstance(network, Eva):
        named = _eva_names(named, network, origin)
    wanted = network.state_dict()
    policy = PositionPolicy.ROTARY
    if "pos_embed" in wanted and "pos_embed" in named:
        policy = _place(named, network, layout, origin)
    require_tensors(named, wanted, f"{origin} (in {layout.value} layout)", names=" (timm's names)")
    return {key: value.float() for key, value in named.items()}, policy


def _renamed(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    rules = {Layout.OFFICIAL: _OFFICIAL, Layout.HUGGING_FACE: _HUGGING_FACE, Layout.TIMM: ()}[layout]
    named: dict[str, Tensor] = {}
    for key, value in tensors.items():
        if layout is not Layout.TIMM and _UNUSED.fullmatch(key):
            continue
        for pattern, by in rules:
            key = re.sub(pattern, by, key)
        named[key] = value
    gated = any(".mlp.fc1_g." in key for key in named)
    if layout is Layout.HUGGING_FACE and not gated:
        named = {key.replace(".mlp.fc1_x.", ".mlp.fc1."): value for key, value in named.items()}
    return _fused(named)


def _fused(named: dict[str, Tensor]) -> dict[str, Tensor]:
    """Three projections q, k, v in one, in this order; a projection without a bias counts as zero."""
    for prefix in [key[: -len("q.weight")] for key in named if key.endswith(".attn.q.weight")]:
        parts = [f"{prefix}{letter}" for letter in "qkv"]
        if all(f"{part}.weight" in named for part in parts):
            weights = [named.pop(f"{part}.weight") for part in parts]
            biases = [named.pop(f"{part}.bias", None) for part in parts]
            named[f"{prefix}qkv.weight"] = torch.cat(weights)
            if any(bias is not None for bias in biases):
                filled = [w.new_zeros(len(w)) if b is None else b for w, b in zip(weights, biases, strict=True)]
                named[f"{prefix}qkv.bias"] = torch.cat(filled)
    return named


def _eva_names(named: dict[str, Tensor], network: Eva, origin: str) -> dict[str, Tensor]:
    """DINOv3 in timm: LayerScale is gamma_1 and gamma_2; query and value have biases of their own or none, key none."""
    out: dict[str, Tensor] = {}
    wanted = network.state_dict()
    for key, value in named.items():
        if not key.endswith(".attn.qkv.bias"):
            out[re.sub(r"\.ls([12])\.gamma$", r".gamma_\1", key)] = value
            continue
        stem = key[: -len("qkv.bias")]
        q_bias, _, v_bias = value.chunk(3)
        if f"{stem}q_bias" in wanted:
            out[f"{stem}q_bias"], out[f"{stem}v_bias"] = q_bias, v_bias
        elif q_bias.any() or v_bias.any():
            raise MismatchError(
                f"{origin} has biases on query and value ({key} is not zero), and this network has none; "
                "take the variant of the same name with _qkvb"
            )
    return out


def _place(named: dict[str, Tensor], network: VisionTransformer | Eva, layout: Layout, origin: str) -> PositionPolicy:
    """Bring ``pos_embed`` to the network's grid; Meta and Hugging Face store the class token's place in front of it."""
    with_registers = "reg_token" in named
    policy = {
        Layout.OFFICIAL: PositionPolicy.ANTIALIAS if with_registers else PositionPolicy.OFFSET,
        Layout.HUGGING_FACE: PositionPolicy.ANTIALIAS if with_registers else PositionPolicy.PLAIN,
        Layout.TIMM: PositionPolicy.ANTIALIAS,
    }[layout]
    stored = named["pos_embed"]
    if stored.ndim != 3 or stored.shape[0] != 1:
        raise MismatchError(f"{origin}: pos_embed is {list(stored.shape)}, wanted [1, patches, C]")
    front = 1 if layout is not Layout.TIMM or not network.no_embed_class else 0
    patches, used = resample_positions(stored[:, front:], network.patch_embed.grid_size, policy)
    if network.no_embed_class:
        if front and "cls_token" in named:
            named["cls_token"] = named["cls_token"] + stored[:, :1]
        named["pos_embed"] = patches
    else:
        named["pos_embed"] = torch.cat([stored[:, :1].float(), patches], dim=1)
    return used


def require_tensors(named: Mapping[str, Tensor], wanted: Mapping[str, Tensor], origin: str, *, names: str = "") -> None:
    """Raise unless ``named`` holds the keys and shapes of ``wanted``, all finite; ``names`` says whose the keys are.

    Raises :class:`MismatchError` naming keys that are missing, unexpected or of another shape, and
    :class:`CorruptError` naming those that hold NaN or infinite values.
    """
    missing, unexpected = wanted.keys() - named.keys(), named.keys() - wanted.keys()
    if missing or unexpected:
        both = (("lacks", missing), ("has besides", unexpected))
        faults = [f"{what} {some_keys(keys)}" for what, keys in both if keys]
        raise MismatchError(f"{origin} {' and '.join(faults)}{names}: another network's; give the weights of this one")
    shapes = [
        f"{key} {list(named[key].shape)} where {list(wanted[key].shape)} is wanted"
        for key in sorted(wanted)
        if named[key].shape != wanted[key].shape
    ]
    if shapes:
        raise MismatchError(
            f"{origin} has another size: {'; '.join(shapes[:_SHOWN])}; give the weights of this network"
        )
    broken = [key for key, value in named.items() if not torch.isfinite(value).all()]
    if broken:
        raise CorruptError(f"{origin} holds NaN or infinite values in {some_keys(broken)}; fetch it again")


def some_keys(keys: Mapping[str, Tensor] | set[str] | list[str]) -> str:
    """The first of ``keys``, and how many more there are."""
    ordered = sorted(keys)
    return ", ".join(ordered[:_SHOWN]) + (f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else "")
