"""Rewrites of a timm transformer that change no result: fewer operations, and attention as engines fuse it."""

from __future__ import annotations

from typing import Any

import torch
from timm.layers.attention import Attention
from timm.layers.layer_scale import LayerScale
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from airside.errors import UsageError
from airside.model.attention import SplitQkv


class PlainAttention(nn.Module):
    """timm's attention as MatMul, Softmax, MatMul and nothing between: the pattern TensorRT fuses. The scale sits in
    the query's weights."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.heads, self.width = attention.num_heads, attention.head_dim
        self.qkv, self.proj = attention.qkv, attention.proj
        queries = self.heads * self.width
        with torch.no_grad():
            self.qkv.weight[:queries] *= attention.scale
            if self.qkv.bias is not None:
                self.qkv.bias[:queries] *= attention.scale

    def forward(self, tokens: Tensor, **_: Any) -> Tensor:
        """[B, T, C] -> [B, T, C]."""
        batch, count, _width = tokens.shape
        qkv = self.qkv(tokens).reshape(batch, count, 3, self.heads, self.width).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        mixed = (query @ key.transpose(-2, -1)).softmax(dim=-1) @ value
        projected: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, count, -1))
        return projected


def fold_for_export(network: nn.Module) -> None:
    """Fold LayerScale into the Linear before it and the attention's scale into the query, in place, once.

    Raises :class:`UsageError` for a network with rotary positions (DINOv3), with adapters that are not merged, or with
    norms or gates inside its attention: none of these is built for vehicles yet.
    """
    if not isinstance(network, VisionTransformer):
        raise UsageError(f"wanted a plain vision transformer (DINOv2), got {type(network).__name__}: not folded yet")
    blocks: list[Any] = list(network.blocks)
    for block in blocks:
        attention = block.attn
        if isinstance(attention, PlainAttention):
            raise UsageError("this network is folded already")
        if isinstance(attention.qkv, SplitQkv):
            raise UsageError("query, key and value are split for adapters; merge them first (merge_lora)")
        inside = (attention.q_norm, attention.k_norm, attention.norm)
        if attention.gate is not None or not all(isinstance(norm, nn.Identity) for norm in inside):
            raise UsageError("wanted attention without norms or gates inside")
    for block in blocks:
        for scale, linear in (("ls1", block.attn.proj), ("ls2", block.mlp.fc2)):
            if isinstance(getattr(block, scale), LayerScale):
                _fold(getattr(block, scale).gamma, linear)
                setattr(block, scale, nn.Identity())
        block.attn = PlainAttention(block.attn)


def _fold(gamma: Tensor, linear: nn.Linear) -> None:
    with torch.no_grad():
        linear.weight.mul_(gamma[:, None])
        if linear.bias is not None:
            linear.bias.mul_(gamma)
