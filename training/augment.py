"""Colour, light, blur and noise drawn per picture, on the device the pictures lie on."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

BLURRED, NOISY = 0.2, 0.3  # shares of the pictures


def augment_light(images: Tensor, generator: torch.Generator) -> Tensor:
    """[B, H, W, 3] uint8 -> float 0..255 with random exposure, gamma, white balance, contrast, saturation, blur, noise.

    ``generator`` is of the images' device.
    """
    b, device = len(images), images.device

    def draw(low: float, high: float, channels: int = 1) -> Tensor:
        return torch.empty(b, 1, 1, channels, device=device).uniform_(low, high, generator=generator)

    gamma, gain, balance = draw(-0.35, 0.35).exp(), draw(-0.3, 0.3).exp(), draw(-0.1, 0.1, 3).exp()
    contrast, saturation = draw(-0.35, 0.35).exp(), draw(-0.5, 0.35).exp()
    x = (images.float() / 255).clamp_min(1e-3) ** gamma * (gain * balance)
    x = torch.lerp(x.mean(dim=(1, 2), keepdim=True), x, contrast)
    x = torch.lerp(x.mean(dim=3, keepdim=True), x, saturation)
    soft = functional.avg_pool2d(x.permute(0, 3, 1, 2), 3, 1, 1, count_include_pad=False).permute(0, 2, 3, 1)
    x = torch.where(draw(0, 1) < BLURRED, soft, x)
    noise = torch.randn(x.shape, device=device, generator=generator)
    x = x + noise * draw(0, 0.05) * (draw(0, 1) < NOISY)
    return x.clamp(0, 1) * 255
