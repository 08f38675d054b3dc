"""The DPT decoder as Depth Anything V2 has it: four levels of patch tokens to one dense depth map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from airside.errors import UsageError

LEVELS = 4
_HEAD_CHANNELS = 32


class DptDecoder(nn.Module):
    """Tokens of four blocks, reassembled at strides 1/4, 1/2, 1 and 2 of the patch and fused from coarse to fine.

    ``width`` C of the tokens, any; ``features``: channels while fusing, even; ``out_channels`` of the four levels,
    finest (earliest block) first; ``max_depth_m``: ``None`` gives a relative map (affine-invariant INVERSE depth, at
    least 0, no unit, high = near), a number gives metric depth in [0, max_depth_m] along the optical axis;
    ``patch_px``: side of a patch in the picture. Raises :class:`UsageError` on sizes that are none.

    Sources: Ranftl et al., Vision Transformers for Dense Prediction, arXiv 2103.13413, section 3 (reassemble, fusion,
    head); Yang et al., Depth Anything V2, arXiv 2406.09414 (relative and metric heads).
    """

    def __init__(
        self,
        width: int,
        features: int,
        out_channels: Sequence[int],
        max_depth_m: float | None,
        patch_px: int = 14,
    ) -> None:
        super().__init__()
        if len(out_channels) != LEVELS:
            raise UsageError(f"wanted {LEVELS} out_channels, one a level, got {list(out_channels)}")
        if min(width, features, patch_px, *out_channels) < 1 or features % 2:
            raise UsageError(
                "wanted positive sizes and an even number of features, got "
                f"width {width}, features {features}, out_channels {list(out_channels)}, patch_px {patch_px}"
            )
        if max_depth_m is not None and not (math.isfinite(max_depth_m) and max_depth_m > 0):
            raise UsageError(f"max_depth_m must be a positive number, or None for relative depth, got {max_depth_m}")
        self.width, self.patch_px, self.max_depth_m = width, patch_px, max_depth_m
        self.project = nn.ModuleList(nn.Conv2d(width, c, 1) for c in out_channels)
        quadrupled, doubled, _, halved = out_channels
        self.resize = nn.ModuleList(
            [
                nn.ConvTranspose2d(quadrupled, quadrupled, 4, stride=4),
                nn.ConvTranspose2d(doubled, doubled, 2, stride=2),
                nn.Identity(),
                nn.Conv2d(halved, halved, 3, stride=2, padding=1),
            ]
        )
        self.adapt = nn.ModuleList(nn.Conv2d(c, features, 3, padding=1, bias=False) for c in out_channels)
        self.fuse = nn.ModuleList(_Fusion(features, merges=level < LEVELS - 1) for level in range(LEVELS))
        self.head_coarse = nn.Conv2d(features, features // 2, 3, padding=1)
        self.head_fine = nn.Conv2d(features // 2, _HEAD_CHANNELS, 3, padding=1)
        self.head_depth = nn.Conv2d(_HEAD_CHANNELS, 1, 1)

    def forward(self, tokens: Sequence[Tensor]) -> Tensor:
        """Depth [B, Hp * patch_px, Wp * patch_px] of four token maps [B, Hp, Wp, C], earliest block first.

        Unit and polarity as the class says. Raises :class:`UsageError` on another number of maps or another shape.
        """
        shapes = [tuple(t.shape) for t in tokens]
        alike = all(shape == shapes[0] for shape in shapes)  # not a set: hashing fixes the batch of an export
        if len(shapes) != LEVELS or not alike or len(shapes[0]) != 4 or shapes[0][3] != self.width:
            raise UsageError(f"wanted {LEVELS} token maps [B, Hp, Wp, {self.width}] of one shape, got {shapes}")
        _, hp, wp, _ = shapes[0]
        levels = [
            adapt(resize(project(t.permute(0, 3, 1, 2))))
            for t, project, resize, adapt in zip(tokens, self.project, self.resize, self.adapt, strict=True)
        ]
        fused: Tensor | None = None
        for level in reversed(range(LEVELS)):
            size = levels[level - 1].shape[2:] if level else (8 * hp, 8 * wp)
            fused = self.fuse[level](levels[level], fused, size)
        dense = F.interpolate(
            self.head_coarse(fused), (hp * self.patch_px, wp * self.patch_px), mode="bilinear", align_corners=True
        )
        depth: Tensor = self.head_depth(F.relu(self.head_fine(dense))).squeeze(1)
        return F.relu(depth) if self.max_depth_m is None else torch.sigmoid(depth) * self.max_depth_m


class _Fusion(nn.Module):
    """One level joined to the coarser ones; the coarsest has nothing to merge and so no unit for it."""

    def __init__(self, features: int, *, merges: bool) -> None:
        super().__init__()
        self.lateral = _ResidualUnit(features) if merges else None
        self.refine = _ResidualUnit(features)
        self.project = nn.Conv2d(features, features, 1)

    def forward(self, level: Tensor, coarser: Tensor | None, size: Sequence[int]) -> Tensor:
        """[B, F, h, w] and the fused coarser levels at the same size, to [B, F, *size]."""
        if self.lateral is not None and coarser is not None:
            level = coarser + self.lateral(level)
        # The paper projects after the resize. Bilinear weights sum to one: the order is free, and this one 4x cheaper.
        projected = self.project(self.refine(level))
        return F.interpolate(projected, tuple(size), mode="bilinear", align_corners=True)


class _ResidualUnit(nn.Module):
    """x + conv(relu(conv(relu(x))))."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv2(F.relu(self.conv1(F.relu(x))))
        return out
