"""How a learned position embedding comes from its training grid to another: each implementation has its own way."""

from __future__ import annotations

import enum
import math

import torch
from torch import Tensor
from torch.nn import functional

from airside.errors import MismatchError


class PositionPolicy(enum.StrEnum):
    """Interpolation policy; its value goes into the bundle manifest.

    ``OFFSET``: Meta's DINOv2 without registers (and Depth Anything's encoder): bicubic, where the scale that maps
    pixels back is (new + 0.1) / old and not new / old. ``ANTIALIAS``: Meta's and Hugging Face's DINOv2 with registers,
    and timm. ``PLAIN``: Hugging Face's DINOv2 without registers. ``NATIVE``: the training grid itself, untouched.
    ``ROTARY``: DINOv3, nothing is stored.
    """

    NATIVE = "native"
    OFFSET = "bicubic, offset 0.1"
    ANTIALIAS = "bicubic, antialias"
    PLAIN = "bicubic"
    ROTARY = "rotary"


def resample_positions(
    positions: Tensor, grid: tuple[int, int], policy: PositionPolicy
) -> tuple[Tensor, PositionPolicy]:
    """Patch positions [1, N, C] of a square training grid -> ([1, Hp * Wp, C] float32, the policy that was at work).

    The training grid comes back untouched, as :attr:`PositionPolicy.NATIVE`. Raises :class:`MismatchError` when N is
    no square or the policy interpolates nothing.
    """
    side = math.isqrt(positions.shape[1])
    if side * side != positions.shape[1]:
        raise MismatchError(
            f"a position embedding of {positions.shape[1]} patches is no square grid: another network's"
        )
    if grid == (side, side):
        return positions.float(), PositionPolicy.NATIVE
    square = positions.float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    match policy:
        case PositionPolicy.OFFSET:
            scale = [(cells + 0.1) / side for cells in grid]
            sized = functional.interpolate(square, scale_factor=scale, mode="bicubic")
        case PositionPolicy.ANTIALIAS | PositionPolicy.PLAIN:
            antialias = policy is PositionPolicy.ANTIALIAS
            sized = functional.interpolate(square, size=grid, mode="bicubic", antialias=antialias)
        case _:
            raise MismatchError(f"the policy {policy.value!r} cannot carry positions from {side}x{side} to {grid}")
    return torch.flatten(sized, 2).transpose(1, 2).contiguous(), policy
