"""Numbers that a step needs on its device, moved there once: every copy from the processor waits for the GPU."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import torch
from torch import Tensor


def constant(values: Iterable[float], device: torch.device) -> Tensor:
    """[K] float32 on ``device``, one tensor for all who ask for the same; nobody may write to it."""
    return _kept(tuple(float(value) for value in values), device)


@lru_cache(maxsize=256)
def _kept(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, device=device)
