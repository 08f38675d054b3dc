"""Colour, light and blur drawn per picture."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def augment_light(images: Tensor, generator: torch.Generator) -> Tensor:
    """[B, H, W, 3] uint8 -> float 0..255 with random exposure, contrast, gamma, white balance, saturation and blur."""
    b = len(images)

    def draw(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.empty(b, 1, 1, channels).uniform_(low, high, generator=generator)

    x = images.float() / 255
    x = x.clamp_min(1e-3) ** torch.exp(draw(-0.35, 0.35))
    x = x * torch.exp(draw(-0.3, 0.3)) * torch.exp(draw(-0.10, 0.10, 3))
    mean = x.mean(dim=(1, 2), keepdim=True)
    x = mean + (x - mean) * torch.exp(draw(-0.35, 0.35))
    grey = x.mean(dim=3, keepdim=True)
    x = grey + (x - grey) * torch.exp(draw(-0.5, 0.35))
    blurred = torch.rand(b, generator=generator) < 0.2
    if blurred.any():
        soft = functional.avg_pool2d(x[blurred].permute(0, 3, 1, 2), 3, 1, 1)
        x[blurred] = soft.permute(0, 2, 3, 1)
    return x.clamp(0, 1) * 255
