"""How fast this machine could run a transformer if there were nothing in it but its matrix products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Shape:
    """A vision transformer's: ``tokens`` T a picture (prefix included), ``width`` C, ``heads``, ``depth`` blocks."""

    tokens: int
    width: int
    heads: int
    depth: int
    mlp_ratio: int = 4

    def flops(self, pictures: int) -> int:
        """Multiplications and additions of all products of a pass."""
        t, c = self.tokens, self.width
        linears = t * c * c * (4 + 2 * self.mlp_ratio)
        return 2 * pictures * self.depth * (linears + 2 * t * t * c)


def products(shape: Shape, pictures: int, dtype: torch.dtype) -> Callable[[], object]:
    """A function that runs every product of a pass, at its own shape, each with its own weights as the network has."""
    t, c, rows = shape.tokens, shape.width, pictures * shape.tokens
    head = c // shape.heads
    sizes = [(c, 3 * c), (c, c), (c, shape.mlp_ratio * c), (shape.mlp_ratio * c, c)]
    weights = [[torch.randn(size, dtype=dtype) for size in sizes] for _ in range(shape.depth)]
    given = {width: torch.randn((rows, width), dtype=dtype) for width, _ in sizes}
    query = torch.randn((pictures * shape.heads, t, head), dtype=dtype)
    key, mixing = query.transpose(1, 2).contiguous(), torch.randn((len(query), t, t), dtype=dtype)

    def run() -> None:
        with torch.inference_mode():
            for block in weights:
                for weight in block:
                    given[weight.shape[0]] @ weight
                query @ key
                mixing @ query

    return run
