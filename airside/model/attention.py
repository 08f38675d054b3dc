"""timm's fused query-key-value projection, its three parts, and the keys as a feature."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from airside.errors import UsageError


class SplitQkv(nn.Module):
    """Three projections in the place of the fused one, giving the same [B, T, 3 C]."""

    def __init__(self, q: nn.Linear, k: nn.Linear, v: nn.Linear) -> None:
        super().__init__()
        self.q, self.k, self.v = q, k, v

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, T, C] -> query, key, value side by side [B, T, 3 C]."""
        return torch.cat([self.q(tokens), self.k(tokens), self.v(tokens)], dim=-1)


def split_qkv(network: VisionTransformer | Eva) -> None:
    """Put three Linears ``blocks.N.attn.qkv.{q,k,v}`` where one was, in place: the same function, and as trainable.

    Blocks that are split already stay as they are.
    """
    for attention in _attentions(network):
        if isinstance(attention.qkv, SplitQkv):
            continue
        fused = attention.qkv
        biases: tuple[Tensor | None, ...] = (None, None, None)
        if fused.bias is not None:
            biases = fused.bias.detach().chunk(3)
        elif getattr(attention, "q_bias", None) is not None:
            biases = (attention.q_bias.detach(), None, attention.v_bias.detach())
            attention.q_bias = attention.v_bias = attention.k_bias = None
        parts = zip(fused.weight.detach().chunk(3), biases, strict=True)
        attention.qkv = SplitQkv(*(_linear(*part, fused.weight.requires_grad) for part in parts))


def fuse_qkv(network: VisionTransformer | Eva) -> None:
    """The inverse of :func:`split_qkv`: timm's own names and shapes again, bit for bit.

    Raises :class:`UsageError` when a part is no plain Linear: an adapter must be merged first.
    """
    for attention in _attentions(network):
        if not isinstance(attention.qkv, SplitQkv):
            continue
        parts = [attention.qkv.q, attention.qkv.k, attention.qkv.v]
        if any(type(part) is not nn.Linear for part in parts):
            raise UsageError("an adapter sits on query or value; merge it (merge_lora) before fusing")
        q, k, v = parts
        trainable = k.weight.requires_grad
        bias = None if k.bias is None else torch.cat([part.bias.detach() for part in parts])
        attention.qkv = _linear(torch.cat([part.weight.detach() for part in parts]), bias, trainable)
        if q.bias is not None and k.bias is None:
            attention.q_bias = nn.Parameter(q.bias.detach(), trainable)
            attention.v_bias = nn.Parameter(v.bias.detach(), trainable)
            attention.k_bias = torch.zeros_like(q.bias.detach())


def attention_keys(block: nn.Module, tokens: Tensor) -> Tensor:
    """Keys [B, T, C], all heads side by side and before any rotary embedding, of a block given ``tokens`` [B, T, C]."""
    inside: Any = block
    qkv, normed = inside.attn.qkv, inside.norm1(tokens)
    if isinstance(qkv, SplitQkv):
        return torch.as_tensor(qkv.k(normed))
    bias = None if qkv.bias is None else qkv.bias.chunk(3)[1]
    return nn.functional.linear(normed, qkv.weight.chunk(3)[1], bias)


def _attentions(network: VisionTransformer | Eva) -> Iterator[Any]:
    for block in network.blocks:
        yield block.attn


def _linear(weight: Tensor, bias: Tensor | None, trainable: bool) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.weight = nn.Parameter(weight.clone(), trainable)
    if bias is not None:
        layer.bias = nn.Parameter(bias.clone(), trainable)
    return layer
