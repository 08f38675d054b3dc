"""Muon in the parameters' own precision, all matrices of a shape at once.

``torch.optim.Muon`` orthogonalises in bfloat16, which processors without it emulate tens of times slower, and one
matrix after the other, a hundred launches each on a GPU.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

QUINTIC = (3.4445, -4.7750, 2.0315)  # Newton-Schulz coefficients of K. Jordan, "Muon", 2024


def orthogonalised(matrices: Tensor, steps: int = 5) -> Tensor:
    """``matrices`` [..., R, C] with their singular values pushed towards 1 (between about 0.7 and 1.2)."""
    a, b, c = QUINTIC
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised; steps scaled to AdamW's size (Liu et al., arXiv 2502.16982, equation 4)."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            alike = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    alike[p.shape].append(p)
            for shape, parameters in alike.items():
                gradients = [p.grad for p in parameters]
                buffers = [self._buffer(p) for p in parameters]
                torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
                updates = orthogonalised(torch.stack(gradients).lerp(torch.stack(buffers), group["momentum"]))
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(parameters, updates.unbind(), alpha=-group["lr"] * 0.2 * max(shape) ** 0.5)

    def _buffer(self, p: Tensor) -> Tensor:
        state = self.state[p]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(p)
        return state["momentum_buffer"]
