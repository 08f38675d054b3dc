"""A step's thousands of small kernels as one CUDA graph: a processor that also renders launches them slower than a GPU
runs them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

Compute = Callable[[Any, torch.Generator], dict[str, Tensor]]


class Captured:
    """``compute(batch, generator)``, recorded at its first call and played again at every other.

    It must wait for nothing, and leave its results in the tensors it returns and in gradients that it set to ``None``
    itself before. Batches are dataclasses of tensors, alike in shape; it is always the same generator, on whose state
    what is drawn depends as if nothing were recorded.
    """

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._graph: torch.cuda.CUDAGraph | None = None
        self._batch: Any = None
        self._figures: dict[str, Tensor] = {}

    def __call__(self, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
        if self._graph is None:
            self._graph = self._record(batch, generator)
        for own, came in zip(_tensors(self._batch), _tensors(batch), strict=True):
            own.copy_(came)
        self._graph.replay()
        return {name: value.clone() for name, value in self._figures.items()}

    def _record(self, batch: Any, generator: torch.Generator) -> torch.cuda.CUDAGraph:
        self._batch = copy.deepcopy(batch)
        state = generator.get_state()
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # libraries make their choices and workspaces before the recording
            for _ in range(3):
                self._compute(self._batch, generator)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(generator)
        with torch.cuda.graph(graph):
            self._figures = self._compute(self._batch, generator)
        generator.set_state(state)
        return graph


def _tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor in ``value``, a dataclass of tensors and such dataclasses."""
    if isinstance(value, Tensor):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from _tensors(getattr(value, field.name))
