"""The geometry of many rigs at once, on the device that trains: where patches land, and where voxels look.

The same as :func:`airside.geometry.splat_table.build_splat_table`, ``NetworkRig.ray_features`` and ``sample_voxels``,
which a test holds it to, for batches in which every sample has a rig of its own. Axes: B samples, N cameras, Hp Wp
patches, D bins, Z heights, X Y cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from airside.geometry.bev_grid import BevGrid
from airside.geometry.splat_table import RAY_FOCAL_PX, RAY_NEAR_M, DepthBins
from airside.model.bev import LiftSplat, SimpleBev, with_measured
from training.constants import constant


@dataclass(frozen=True, slots=True, eq=False)
class Rigs:
    """``intrinsics`` [B, N, 4] fx, fy, cx, cy; ``ego_from_cam`` [B, N, 4, 4]; float32, of pictures of ``size_px``."""

    intrinsics: Tensor
    ego_from_cam: Tensor
    size_px: tuple[int, int]
    patch_px: int

    def of(self, samples: slice) -> Rigs:
        return Rigs(self.intrinsics[samples], self.ego_from_cam[samples], self.size_px, self.patch_px)

    @property
    def patch_grid(self) -> tuple[int, int]:
        return self.size_px[0] // self.patch_px, self.size_px[1] // self.patch_px

    def rays_ego(self) -> Tensor:
        """[B, N, Hp, Wp, 3]: from a camera through its patch centres, one metre along the optical axis, in ego axes."""
        rows, columns = self.patch_grid
        device = self.intrinsics.device
        v = (torch.arange(rows, device=device) + 0.5) * self.patch_px - 0.5
        u = (torch.arange(columns, device=device) + 0.5) * self.patch_px - 0.5
        fx, fy, cx, cy = self.intrinsics[..., None, None].unbind(dim=2)
        x = ((u[None, :] - cx) / fx).expand(*fx.shape[:2], rows, columns)
        y = ((v[:, None] - cy) / fy).expand_as(x)
        cam = torch.stack([x, y, torch.ones_like(x)], dim=-1)
        return torch.einsum("bnij,bnrcj->bnrci", self.ego_from_cam[..., :3, :3], cam)

    def ray_features(self) -> Tensor:
        """[B, N, Hp, Wp, 3]; see :meth:`NetworkRig.ray_features`."""
        rise = self.rays_ego()[..., 2]
        height = self.ego_from_cam[..., 2, 3].clamp_min(0.1)[..., None, None]
        lens = (self.intrinsics[..., 0] / RAY_FOCAL_PX).log()[..., None, None].expand_as(rise)
        return torch.stack([lens, (-rise * RAY_NEAR_M / height).clamp(-1, 1), rise], dim=-1)

    def cells(self, grid: BevGrid, bins: DepthBins, height_range_m: tuple[float, float]) -> Tensor:
        """[B, N, Hp, Wp, D] int64: the cell of every point; ``grid.cells`` for those that are dropped."""
        device = self.intrinsics.device
        centres = constant(bins.centres_m, device)
        origin = self.ego_from_cam[..., None, None, None, :3, 3]
        points = origin + self.rays_ego()[..., None, :] * centres[:, None]
        index = ((points[..., :2] - constant(grid.corner_xy_m, device)) / grid.cell_m).floor().long()
        limit = constant(grid.shape, device)
        low, high = height_range_m
        inside = ((index >= 0) & (index < limit)).all(dim=-1) & (points[..., 2] >= low) & (points[..., 2] < high)
        return torch.where(inside, index[..., 0] * grid.cells_y + index[..., 1], grid.cells)

    def in_view(self, grid: BevGrid, alive: Tensor) -> Tensor:
        """[B, X, Y] bool: cells whose centre on the ground one of the cameras ``alive`` [B, N] has in its picture."""
        _, seen = self.looked_at(_cell_centres(grid, alive.device), 0.0)
        return (seen & alive[..., None]).any(dim=1).unflatten(1, grid.shape)

    def looked_at(self, xy_ego_m: Tensor, z_m: float) -> tuple[Tensor, Tensor]:
        """Where points [K, 2] at one height lie in the pictures: uv [B, N, K, 2] px, and whether inside [B, N, K]."""
        height_px, width_px = self.size_px
        xyz = functional.pad(xy_ego_m, (0, 1), value=z_m)
        from_camera = xyz - self.ego_from_cam[..., None, :3, 3]
        cam = from_camera @ self.ego_from_cam[..., :3, :3]  # its transpose is its inverse
        fx, fy, cx, cy = self.intrinsics[..., None].unbind(dim=2)
        depth = cam[..., 2].clamp_min(1e-6)
        u, v = fx * cam[..., 0] / depth + cx, fy * cam[..., 1] / depth + cy
        inside = (cam[..., 2] > 0) & (u >= -0.5) & (u < width_px - 0.5) & (v >= -0.5) & (v < height_px - 0.5)
        return torch.stack([u, v], dim=-1), inside


def lift_splat(
    head: LiftSplat, tokens: Tensor, rigs: Rigs, alive: Tensor | None = None, measured: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """``head`` on tokens [B, N, Hp, Wp, C] seen through ``rigs``: logits [B, L, X, Y], and the depth probability
    [B, N, D, Hp, Wp] that it tells by itself; it lifts by that and what is ``measured``, of the same shape
    (:func:`airside.model.bev.with_measured`). The head's own rig is not looked at; cameras not ``alive`` [B, N] lift
    nothing."""
    grid, samples = head.grid, len(tokens)
    probability = head.depth_probability(tokens, rigs.ray_features())
    lifted = probability if measured is None else with_measured(probability, measured)
    features, share = head.adapter(tokens), lifted.movedim(2, -1)  # [B, N, Hp, Wp, channels], [B, N, Hp, Wp, D]
    place = rigs.cells(grid, head.bins, head.height_range_m)
    if alive is not None:
        place = torch.where(alive[..., None, None, None], place, grid.cells)
    rows_of = rows_inside if tokens.device.type == "cpu" else rows_everywhere
    at, rows = rows_of(features, share, place, grid.cells)
    cells = rows.new_zeros(samples * grid.cells, head.channels).index_add(0, at, rows)
    cells = cells.reshape(samples, grid.cells, head.channels)
    maps = cells.transpose(1, 2).reshape(samples, head.channels, *grid.shape)
    logits: Tensor = head.decoder(maps)
    return logits, probability


def rows_inside(features: Tensor, share: Tensor, place: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """What is summed where: cells [K] int64 of all samples' grids, and rows [K, channels], of the points that land.

    features [B, N, Hp, Wp, channels]; share and place [B, N, Hp, Wp, D]; place is ``cells`` for a point outside.
    """
    points = (place < cells).flatten().nonzero()[:, 0]
    rows = features.flatten(0, 3)[points // share.shape[-1]] * share.flatten()[points, None]
    return (place + _first_cells(place, cells)).flatten()[points], rows


def rows_everywhere(features: Tensor, share: Tensor, place: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """The same for a GPU, which would wait to be asked how many points land: those that do not add zeros, each to
    another cell, since one cell for all of them would make it wait in line."""
    inside = place < cells
    spread = torch.arange(place[0].numel(), device=place.device).reshape(place.shape[1:]) % cells
    at = torch.where(inside, place, spread) + _first_cells(place, cells)
    return at.flatten(), (features[..., None, :] * (share * inside)[..., None]).flatten(0, -2)


def _first_cells(place: Tensor, cells: int) -> Tensor:
    return torch.arange(len(place), device=place.device).reshape(-1, 1, 1, 1, 1) * cells


def simple_bev(head: SimpleBev, tokens: Tensor, rigs: Rigs, alive: Tensor | None = None) -> Tensor:
    """``head`` on tokens [B, N, Hp, Wp, C] seen through ``rigs``: logits [B, L, X, Y]; ``alive`` as above."""
    grid, (height_px, width_px) = head.grid, rigs.size_px
    samples, cameras = tokens.shape[:2]
    features = head.adapter(tokens).flatten(0, 1).permute(0, 3, 1, 2).float()
    xy = _cell_centres(grid, tokens.device)
    scale = constant((2 / width_px, 2 / height_px), tokens.device)
    voxels = []
    for z in head.heights_m:
        uv, seen = rigs.looked_at(xy, z)
        if alive is not None:
            seen = seen & alive[..., None]
        at = ((uv + 0.5) * scale - 1).clamp(-2, 2).flatten(0, 1)[:, None]
        looked = functional.grid_sample(features, at, padding_mode="border", align_corners=False)[:, :, 0]
        looked = looked.unflatten(0, (samples, cameras)) * seen[:, :, None]
        voxels.append(looked.sum(dim=1).transpose(1, 2) / seen.sum(dim=1).clamp_min(1)[..., None])
    cells = head.compress(torch.stack(voxels, dim=2).to(tokens.dtype).flatten(2))
    logits: Tensor = head.decoder(cells.transpose(1, 2).reshape(samples, head.channels, *grid.shape))
    return logits


def mirrored(rigs: Rigs, which: Tensor) -> Rigs:
    """Rigs that see the mirror image of what ``rigs`` see, where ``which`` [B] bool: left is right, in every picture
    and on the ground."""
    width_px = rigs.size_px[1]
    fx, fy, cx, cy = rigs.intrinsics.unbind(dim=-1)
    flipped = torch.stack([fx, fy, width_px - 1 - cx, cy], dim=-1)
    ego, cam = (constant(d, cx.device).diag() for d in ((1, -1, 1, 1), (-1, 1, 1, 1)))
    turned = ego @ rigs.ego_from_cam @ cam
    return Rigs(
        torch.where(which[:, None, None], flipped, rigs.intrinsics),
        torch.where(which[:, None, None, None], turned, rigs.ego_from_cam),
        rigs.size_px,
        rigs.patch_px,
    )


@lru_cache(maxsize=8)
def _cell_centres(grid: BevGrid, device: torch.device) -> Tensor:
    """[X * Y, 2] float32, ego metres."""
    return torch.tensor(grid.centres_xy_m().reshape(-1, 2), dtype=torch.float32, device=device)
