"""Colour, light and blur drawn per picture."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


def augment_light(images: Tensor, generator: torch.Generator) -> Tensor:
    """[B, H, W, 3] uint8 -> float 0..255 with random exposure, contrast, gamma, white balance, saturation and blur."""
    b = len(images)

    def draw(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.empty(b, 1, channels).uniform_(low, high, generator=generator)

    level = torch.linspace(1e-3, 1, 256).view(1, 256, 1)
    table = level ** torch.exp(draw(-0.35, 0.35)) * torch.exp(draw(-0.3, 0.3)) * torch.exp(draw(-0.10, 0.10, 3))
    pivot = table.mean(dim=1, keepdim=True)
    table = pivot + (table - pivot) * torch.exp(draw(-0.35, 0.35))  # [B, 256, 3]: every pixel goes through a table
    pixels = images.numpy()
    x = torch.from_numpy(
        np.stack(
            [
                np.stack([t[:, c][p[..., c]] for c in range(3)], axis=-1)
                for t, p in zip(table.numpy(), pixels, strict=True)
            ]
        )
    )
    grey = x.mean(dim=3, keepdim=True)
    x = torch.lerp(grey, x, torch.exp(draw(-0.5, 0.35)).unsqueeze(1))
    blurred = torch.rand(b, generator=generator) < 0.2
    if blurred.any():
        soft = functional.avg_pool2d(x[blurred].permute(0, 3, 1, 2), 3, 1, 1)
        x[blurred] = soft.permute(0, 2, 3, 1)
    return x.clamp(0, 1) * 255
