"""Single pictures as a longer lens would see a part of them, mirrored or not: patches begin elsewhere, the picture's
edges cut other things, and every asset comes in more sizes than were rendered."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LONGEST = 1.6  # times the focal length
WHOLE = 0.4  # share of the pictures that stay whole

Picture = tuple[Tensor, Tensor, Tensor]


def cropped(rgb: Tensor, label: Tensor, depth_m: Tensor, generator: torch.Generator) -> Picture:
    """``rgb`` [P, H, W, 3] uint8; ``label`` and ``depth_m`` [P, H / 2, W / 2] of every second pixel -> the same of the
    crops, as large. Depth as if seen through one focal length comes nearer by as much as the crop enlarges."""
    pictures, height, width, _ = rgb.shape

    def draw(low: float, high: float) -> Tensor:
        return torch.empty(pictures, device=rgb.device).uniform_(low, high, generator=generator)

    zoom = torch.where(draw(0, 1) < WHOLE, 1.0, LONGEST ** draw(0, 1))
    side = torch.where(draw(0, 1) < 0.5, -1.0, 1.0)
    share = 1 / zoom
    x, y = (_places(size, share, draw(-1, 1)) for size in (width, height))
    x = torch.where(side[:, None] < 0, x.flip(1), x)
    grid = torch.stack(
        [
            ((2 * x + 1) / width - 1)[:, None].expand(-1, height, -1),
            ((2 * y + 1) / height - 1)[:, :, None].expand(-1, -1, width),
        ],
        dim=-1,
    )
    planes = rgb.permute(0, 3, 1, 2).float()
    seen = functional.grid_sample(planes, grid, padding_mode="border", align_corners=False)
    row, column = (_nearest(at, size) for at, size in ((y, label.shape[1]), (x, label.shape[2])))
    at = torch.arange(pictures, device=rgb.device)[:, None, None], row[:, :, None], column[:, None, :]
    near = (depth_m[at] / zoom[:, None, None]).to(depth_m.dtype)
    return seen.round().to(torch.uint8).permute(0, 2, 3, 1), label[at], near


def _places(size: int, share: Tensor, where: Tensor) -> Tensor:
    """[P, size]: the pixels that a window of ``share`` [P] of the picture looks at; ``where`` [P] -1..1 it lies."""
    centre = (size - 1) / 2
    steps = torch.arange(size, device=share.device) - centre
    return centre + steps * share[:, None] + (where * (1 - share) * size / 2)[:, None]


def _nearest(pixel: Tensor, size: int) -> Tensor:
    """[P, 2 * size] places in pixels -> [P, size] of every second pixel, for every second one."""
    return (pixel[:, ::2] / 2).round().long().clamp(0, size - 1)


def majority(label: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """The most frequent ``label`` [P, h, w] of every ``cells`` x ``cells``, and its share in 0..1: [P, Hp, Wp]."""
    patches = label.unfold(1, cells, cells).unfold(2, cells, cells).flatten(3)
    most = patches.mode(dim=3).values
    return most, (patches == most[..., None]).float().mean(dim=3)
