"""Bird's-eye view from the shared patch tokens: the Lift-Splat head and, for comparison, Simple-BEV's lift."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from airside.errors import InputError, MismatchError, UsageError
from airside.geometry.bev_grid import LAYERS, BevGrid
from airside.geometry.splat_table import (
    HEIGHT_RANGE_M,
    RAY_FEATURES,
    DepthBins,
    NetworkRig,
    build_splat_table,
    sample_voxels,
)
from airside.model.splat import BAGS, Splat, SplatPath

MISMEASURED = 0.02  # likelihood of a bin that no pixel was measured in; chosen on development worlds (eval/LOG.md)


class BevOutput(NamedTuple):
    """What a bird's-eye head says: logits, and the depth it lifted with (``None`` where the lift knows no depth)."""

    layers: Tensor  # [B, L, X, Y] logits, axes as in BevGrid
    depth_probability: Tensor | None  # [B, N, D, Hp, Wp]; sums to 1 over D, or less where a given depth was missing


class BevHead(nn.Module, ABC):
    """Tokens through a 1x1 adapter, lifted to the grid by a subclass, decoded to one logit per layer and cell.

    ``width`` is the tokens' C. The rig's tables are no weights: no checkpoint holds them, and ``use_rig`` or
    ``with_rig`` puts others in their place. Raises :class:`UsageError` when layers are missing or named twice, there
    are fewer than 4 channels, the splat path is unknown, or the rig sees nothing of the grid.
    """

    def __init__(self, width: int, grid: BevGrid, channels: int, layers: Sequence[str], path: SplatPath) -> None:
        super().__init__()
        if channels < 4:
            raise UsageError(f"BEV channels: wanted at least 4, got {channels}")
        if not layers or len(set(layers)) != len(layers):
            raise UsageError(f"BEV layers: wanted one or more different names, got {list(layers)}")
        if path not in BAGS:
            raise UsageError(f"splat path: wanted one of {', '.join(BAGS)}, got {path!r}")
        self.width, self.grid, self.channels = width, grid, channels
        self.layers, self.path = tuple(layers), path
        self.adapter = nn.Linear(width, channels)
        self.decoder = BevDecoder(channels, len(self.layers))

    def use_rig(self, rig: NetworkRig) -> None:
        """From now on see through ``rig``: another number of cameras, another size and other poses are all right."""
        self.rig = rig
        self._build_tables()
        self.to(self.adapter.weight.device)

    def with_rig(self, rig: NetworkRig) -> Self:
        """The same head, sharing its weights, seeing through ``rig``; this one stays as it is."""
        other = self._twin()
        other.use_rig(rig)
        return other

    def with_path(self, path: SplatPath) -> Self:
        """The same head, sharing its weights, summing by ``path``: ``"bucketed"`` is the one to export."""
        other = self._twin()
        other.path = path
        other.use_rig(self.rig)
        return other

    @abstractmethod
    def _build_tables(self) -> None:
        """Replace the modules that hold the rig's tables."""

    def _twin(self) -> Self:
        other = copy.copy(self)
        other._modules, other._buffers = dict(self._modules), dict(self._buffers)
        return other

    def _check(self, tokens: Tensor) -> None:
        """Tokens [B, N, Hp, Wp, C] of this rig, finite (not looked at while compiling or exporting)."""
        if tokens.ndim != 5 or tokens.shape[-1] != self.width:
            raise MismatchError(f"tokens: wanted [B, N, Hp, Wp, {self.width}], got {list(tokens.shape)}")
        if tokens.shape[1] != self.rig.cameras:
            raise MismatchError(
                f"the head's rig has {self.rig.cameras} cameras, the tokens come from {tokens.shape[1]}: "
                "give the rig of these cameras (with_rig)"
            )
        if tuple(tokens.shape[2:4]) != self.rig.patch_grid:
            raise MismatchError(
                f"the head's rig has a patch grid of {list(self.rig.patch_grid)}, the tokens have "
                f"{list(tokens.shape[2:4])}: give the rig at this network size (with_rig)"
            )
        if not torch.compiler.is_compiling() and not bool(torch.isfinite(tokens).all()):
            raise InputError("the tokens hold NaN or infinite values: the backbone or its input is broken")


class LiftSplat(BevHead):
    """Lift-Splat (Philion & Fidler, arXiv 2008.05711): depth per patch as a distribution, features splatted by it.

    The depth of a patch is told from its token and from its ray (:meth:`NetworkRig.ray_features`).
    """

    rays: Tensor

    def __init__(
        self,
        width: int,
        rig: NetworkRig,
        *,
        grid: BevGrid | None = None,
        bins: DepthBins | None = None,
        channels: int = 64,
        layers: Sequence[str] = LAYERS,
        height_range_m: tuple[float, float] = HEIGHT_RANGE_M,
        path: SplatPath = "embedding_bag",
    ) -> None:
        super().__init__(width, grid or BevGrid(), channels, layers, path)
        self.bins, self.height_range_m = bins or DepthBins(), height_range_m
        self.depth = nn.Sequential(
            nn.Linear(width + RAY_FEATURES, channels), nn.GELU(), nn.Linear(channels, self.bins.count)
        )
        self.use_rig(rig)

    def _build_tables(self) -> None:
        self.register_buffer("rays", torch.tensor(self.rig.ray_features()), persistent=False)
        self.splat = Splat(build_splat_table(self.rig, self.grid, self.bins, self.height_range_m), self.path)

    def forward(self, tokens: Tensor, depth: Tensor | None = None, measured: Tensor | None = None) -> BevOutput:
        """tokens [B, N, Hp, Wp, C] -> ``layers`` [B, L, X, Y] logits and ``depth_probability`` [B, N, D, Hp, Wp].

        ``measured`` [B, N, D, Hp, Wp]: see :func:`with_measured`. ``depth`` [B, N, H, W] or [B, N, Hp, Wp], metres
        along the optical axis (lidar, Metric3D, a depth head), takes the place of the predicted distribution; where it
        is missing (NaN, infinite, not positive) or outside the bins, nothing is lifted. Raises :class:`MismatchError`
        on shapes that are not the rig's, :class:`InputError` on tokens that are not finite.
        """
        self._check(tokens)
        if depth is None:
            probability = self.depth_probability(tokens, self.rays.expand(*tokens.shape[:-1], -1))
            if measured is not None:
                probability = with_measured(probability, measured)
        else:
            if depth.ndim != 4 or depth.shape[:2] != tokens.shape[:2]:
                raise MismatchError(f"depth: wanted {list(tokens.shape[:2])} pictures [B, N], got {list(depth.shape)}")
            probability = depth_probability_from_metric(depth, self.rig.patch_grid, self.bins).to(tokens.dtype)
        return BevOutput(self.decoder(self.splat(self.adapter(tokens), probability)), probability)

    def depth_probability(self, tokens: Tensor, rays: Tensor) -> Tensor:
        """tokens [..., Hp, Wp, C] and rays [..., Hp, Wp, 3] -> [..., D, Hp, Wp], sums to 1 over D."""
        logits: Tensor = self.depth(torch.cat([tokens, rays.to(tokens.dtype)], dim=-1))
        return logits.softmax(dim=-1).movedim(-1, -3)


def with_measured(probability: Tensor, measured: Tensor) -> Tensor:
    """What a head tells of depth, ``probability`` [..., D, Hp, Wp], and what a depth branch ``measured``, as one
    distribution over D.

    ``measured`` is the share of a patch's pixels in each bin (:func:`depth_probability_from_metric`). The product of
    the two, as of a prior and a likelihood; a patch that nothing was measured of keeps what the head told.
    """
    joint = probability * (measured + MISMEASURED)
    return joint / joint.sum(dim=-3, keepdim=True)


class RigInputs(nn.Module):
    """A trained :class:`LiftSplat` whose rig is an input, for a bundle that serves every vehicle: a new calibration
    then needs no new export. It sums with a Scatter, which onnxruntime runs and TensorRT refuses (``with_path``)."""

    def __init__(self, head: LiftSplat) -> None:
        super().__init__()
        self.head = head

    def forward(
        self, tokens: Tensor, rays: Tensor, measured: Tensor, patch: Tensor, depth_bin: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor]:
        """tokens [N, Hp, Wp, C], rays [N, Hp, Wp, 3], measured [N, D, Hp, Wp] (:func:`with_measured`), and the columns
        [P] of the rig's :class:`SplatTable` -> the probability of every layer [L, X, Y], and that of depth [N, D, Hp,
        Wp]."""
        head, grid = self.head, self.head.grid
        probability = with_measured(head.depth_probability(tokens, rays), measured)
        of_patch = probability.movedim(-3, -1).flatten(0, 2)
        rows = head.adapter(tokens).flatten(0, 2)[patch] * of_patch[patch, depth_bin][:, None]
        cells = rows.new_zeros(grid.cells, head.channels).index_add(0, cell, rows)
        logits = head.decoder(cells.T.reshape(1, head.channels, *grid.shape))[0]
        return logits.sigmoid(), probability


class SimpleBev(BevHead):
    """Simple-BEV's lift (Harley et al., arXiv 2206.07959, section 3): no depth, each voxel looks into the cameras.

    Cell centres at ``heights_m`` are projected, features sampled bilinearly and averaged over the cameras that see the
    voxel; the heights of a cell are compressed to one feature. Decoder and layers are those of :class:`LiftSplat`.
    """

    sample_weight: Tensor

    def __init__(
        self,
        width: int,
        rig: NetworkRig,
        *,
        grid: BevGrid | None = None,
        heights_m: Sequence[float] = (0.0, 1.0, 2.0, 3.0),
        channels: int = 64,
        layers: Sequence[str] = LAYERS,
        path: SplatPath = "embedding_bag",
    ) -> None:
        super().__init__(width, grid or BevGrid(), channels, layers, path)
        self.heights_m = tuple(heights_m)
        self.compress = nn.Linear(len(self.heights_m) * channels, channels)
        self.use_rig(rig)

    def _build_tables(self) -> None:
        samples = sample_voxels(self.rig, self.grid, self.heights_m)
        self.bags = BAGS[self.path](samples.patch, samples.voxel, self.grid.cells * len(self.heights_m))
        self.register_buffer("sample_weight", torch.tensor(samples.weight), persistent=False)

    def forward(self, tokens: Tensor) -> BevOutput:
        """tokens [B, N, Hp, Wp, C] -> ``layers`` [B, L, X, Y] logits; raises as :class:`LiftSplat` does."""
        return BevOutput(self.decoder(self.lift(tokens)), None)

    def lift(self, tokens: Tensor) -> Tensor:
        """[B, channels, X, Y]: the compressed features of every cell; a voxel no camera sees holds zeros."""
        self._check(tokens)
        features = self.adapter(tokens).flatten(1, 3)
        weights = self.sample_weight.to(features.dtype).expand(len(tokens), -1)
        cells: Tensor = self.compress(self.bags(features, weights).reshape(len(tokens), self.grid.cells, -1))
        return cells.transpose(1, 2).reshape(len(tokens), self.channels, *self.grid.shape)


def depth_probability_from_metric(depth_m: Tensor, patch_grid: tuple[int, int], bins: DepthBins) -> Tensor:
    """[B, N, H, W] metres -> [B, N, D, Hp, Wp], as :func:`airside.geometry.lift_map.depth_probability_from_metric`.

    Differentiable in the depth, and free of Scatter: bin ``k`` takes the share of a hat function around its centre.
    """
    (rows, columns), (height, width) = patch_grid, depth_m.shape[2:]
    if height % rows or width % columns:
        raise MismatchError(f"depth: wanted a multiple of the patch grid {rows} x {columns}, got {height} x {width}")

    def patch_sum(pixels: Tensor) -> Tensor:
        return pixels.reshape(*pixels.shape[:2], rows, height // rows, columns, width // columns).sum(dim=(3, 5))

    centres = bins.centres_m.tolist()
    measured = torch.isfinite(depth_m) & (depth_m > 0)
    inside = measured & (depth_m >= bins.edges_m[0]) & (depth_m <= bins.edges_m[-1])
    at = torch.where(inside, depth_m, centres[0]).clamp(centres[0], centres[-1])
    pixels = patch_sum(measured.to(at.dtype)).clamp(min=1)
    neighbours = zip([centres[0] - 1, *centres], centres, [*centres[1:], centres[-1] + 1], strict=False)
    shares = [
        patch_sum(torch.minimum((at - below) / (here - below), (above - at) / (above - here)).clamp(min=0) * inside)
        for below, here, above in neighbours
    ]
    return torch.stack(shares, dim=2) / pixels[:, :, None]


class BevDecoder(nn.Module):
    """[B, channels, X, Y] -> [B, layers, X, Y]: a small encoder and decoder of convolutions, down to an eighth.

    GroupNorm, not BatchNorm: one process and two with the same global batch then compute the same.
    """

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.down = nn.ModuleList(
            [_block(channels, channels, 2), _block(channels, channels, 2), _block(channels, 2 * channels, 2)]
        )
        self.fine = nn.Conv2d(channels, quarter, 1)
        self.up = nn.ModuleList(
            [_block(3 * channels, channels), _block(2 * channels, half), _block(half + quarter, quarter)]
        )
        self.logits = nn.Conv2d(quarter, layers, 1)

    def forward(self, cells: Tensor) -> Tensor:
        half = self.down[0](cells)
        quarter = self.down[1](half)
        x = self.down[2](quarter)
        for block, skip in zip(self.up, (quarter, half, self.fine(cells)), strict=True):
            x = functional.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=False)
            x = block(torch.cat([x, skip], dim=1))
        logits: Tensor = self.logits(x)
        return logits


def _block(channels_in: int, channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False),
        nn.GroupNorm(math.gcd(8, channels), channels),
        nn.ReLU(),
    )
