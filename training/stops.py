"""Stops of a vehicle as trainings show them: seen in a mirror, with cameras missing, judged only where one looks."""

from __future__ import annotations

import torch
from torch import Tensor

from airside.geometry.bev_grid import BevGrid
from training.batched_lift import Rigs


def mirrored_where(which: Tensor, x: Tensor, dim: int = -1) -> Tensor:
    """Left is right along ``dim`` of ``x`` [S, ...], where ``which`` [S] bool."""
    return torch.where(which.reshape(-1, *[1] * (x.ndim - 1)), x.flip(dim), x)


def lost_cameras(stops: int, cameras: int, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Which cameras give black pictures, and which the vehicle has at all, both [S, N] bool: at ``share`` of the stops
    some are missing, all of them in one of the two ways."""

    def chance(*shape: int) -> Tensor:
        return torch.rand(*shape, device=generator.device, generator=generator)

    missing = (chance(stops, cameras) < chance(stops, 1)) & (chance(stops, 1) < share)
    black = chance(stops, 1) < 0.5
    return missing & black, ~(missing & ~black)


def judged_cells(visible: Tensor, alive: Tensor, rigs: Rigs, grid: BevGrid) -> Tensor:
    """[S, X, Y] bool: cells that count, the ``visible`` ones that a camera ``alive`` [S, N] looks at."""
    return visible & (alive.all(dim=1)[:, None, None] | rigs.in_view(grid, alive))
