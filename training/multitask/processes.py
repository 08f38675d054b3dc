"""One process, or several that torchrun started: who takes which slots, and what all of them know together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from airside.errors import UsageError


@dataclass(frozen=True, slots=True)
class Processes:
    """This process's number among ``world``, and its device."""

    rank: int
    world: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def slots(self, batch: int) -> range:
        """The slots of the global batch that fall to this process; all take as many."""
        if batch % self.world:
            raise UsageError(f"a batch of {batch} does not divide among {self.world} processes")
        share = batch // self.world
        return range(self.rank * share, (self.rank + 1) * share)

    def added(self, values: Tensor) -> Tensor:
        """The sum of every process's ``values``."""
        total = values.clone()
        if self.world > 1:
            dist.all_reduce(total)
        return total

    def shared(self, model: nn.Module) -> nn.Module:
        """``model`` on this process's device; its gradients become the mean over all processes."""
        model = model.to(self.device)
        return DistributedDataParallel(model, broadcast_buffers=False) if self.world > 1 else model


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes torchrun started (nccl on CUDA, else gloo); alone without torchrun."""
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    if "WORLD_SIZE" not in os.environ:
        yield Processes(0, 1, device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), device)
    finally:
        dist.destroy_process_group()
