"""The learning rate over a training, and where half precision pays."""

from __future__ import annotations

import math

import torch

LEAST_SHARE = 0.02  # of the peak, at the end


def warm_cosine(step: int, steps: int, peak: float, warmup: int) -> float:
    """The rate of ``step``, counted from 0: linear over ``warmup`` steps, then a cosine to 2 % at ``steps``."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = min((step - warmup) / max(1, steps - warmup), 1.0)
    return peak * (LEAST_SHARE + (1 - LEAST_SHARE) * 0.5 * (1 + math.cos(math.pi * progress)))


def half_precision(device: torch.device, *, wanted: bool = True) -> torch.autocast:
    """bfloat16 where the device multiplies in it; elsewhere it is emulated, tens of times slower."""
    able = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and able)
