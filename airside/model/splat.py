"""Splat: weighted sums of patch features into bird's-eye cells, three ways that give the same result.

Written from Philion & Fidler, arXiv 2008.05711, section 3: ``cell = sum of depth probability * feature`` over the
points the table puts there. :class:`ReferenceBags` is the one to read, :class:`EmbeddingBags` the one to train with,
:class:`BucketedBags` the one to export: it needs no Scatter, which TensorRT's parser refuses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from airside.errors import MismatchError
from airside.geometry.splat_table import SplatTable

SplatPath = Literal["reference", "embedding_bag", "bucketed"]


class WeightedBags(nn.Module, ABC):
    """``out[b, g] = sum of weights[b, p] * features[b, item[p]]`` over the rows ``p`` with ``bag[p] == g``.

    ``item`` [P] and ``bag`` [P], sorted, are int64; a bag without rows gives zeros. The tables are buffers that no
    checkpoint holds: they belong to a rig, not to the weights.
    """

    def __init__(self, item: np.ndarray, bag: np.ndarray, bags: int) -> None:
        super().__init__()
        self.bags = bags

    @abstractmethod
    def forward(self, features: Tensor, weights: Tensor) -> Tensor:
        """features [B, M, C], weights [B, P] -> [B, bags, C]."""

    def _table(self, name: str, values: np.ndarray) -> None:
        self.register_buffer(name, torch.tensor(np.ascontiguousarray(values, np.int64)), persistent=False)


class ReferenceBags(WeightedBags):
    """Every row's weighted feature, added to its bag."""

    item: Tensor
    bag: Tensor

    def __init__(self, item: np.ndarray, bag: np.ndarray, bags: int) -> None:
        super().__init__(item, bag, bags)
        self._table("item", item)
        self._table("bag", bag)

    def forward(self, features: Tensor, weights: Tensor) -> Tensor:
        rows = features[:, self.item] * weights[..., None]
        return rows.new_zeros(rows.shape[0], self.bags, rows.shape[2]).index_add(1, self.bag, rows)


class EmbeddingBags(WeightedBags):
    """One fused kernel that never makes the [B, P, C] rows; the samples of a batch become more bags."""

    item: Tensor
    offset: Tensor

    def __init__(self, item: np.ndarray, bag: np.ndarray, bags: int) -> None:
        super().__init__(item, bag, bags)
        self._table("item", item)
        self._table("offset", np.searchsorted(bag, np.arange(bags)))

    def forward(self, features: Tensor, weights: Tensor) -> Tensor:
        batch, items, channels = features.shape
        sample = torch.arange(batch, device=features.device)[:, None]
        summed = functional.embedding_bag(
            (self.item + sample * items).flatten(),
            features.reshape(-1, channels),
            (self.offset + sample * len(self.item)).flatten(),
            mode="sum",
            per_sample_weights=weights.flatten(),
        )
        return summed.reshape(batch, self.bags, channels)


class BucketedBags(WeightedBags):
    """Bags of 1, 2, 3-4, 5-8, ... rows share a bucket, padded to its size with a row of zeros.

    Gather, MatMul, Concat, and one Gather back to the order of the bags.
    """

    row: Tensor
    item: Tensor
    place: Tensor

    def __init__(self, item: np.ndarray, bag: np.ndarray, bags: int) -> None:
        super().__init__(item, bag, bags)
        count = np.bincount(bag, minlength=bags)
        start = np.cumsum(count) - count
        size_of_bag = np.where(count > 0, 2 ** np.ceil(np.log2(np.maximum(count, 1))).astype(np.int64), 0)
        place = np.zeros(bags, np.int64)  # 0 holds zeros, for bags without rows
        rows, items = [], []
        self.shapes: list[tuple[int, int]] = []
        placed = 1
        for size in np.unique(size_of_bag[size_of_bag > 0]):
            members = np.flatnonzero(size_of_bag == size)
            step = np.arange(size)
            row = np.minimum(start[members, None] + step, len(item) - 1)
            rows.append(row.ravel())
            items.append(np.where(step < count[members, None], item[row] + 1, 0).ravel())  # item 0 is the zero row
            place[members] = placed + np.arange(len(members))
            placed += len(members)
            self.shapes.append((len(members), int(size)))
        self._table("row", np.concatenate(rows))
        self._table("item", np.concatenate(items))
        self._table("place", place)

    def forward(self, features: Tensor, weights: Tensor) -> Tensor:
        batch, _, channels = features.shape
        zero = features.new_zeros(batch, 1, channels)
        padded = torch.cat([zero, features], dim=1)
        sums = [zero]
        start = 0
        for bags, size in self.shapes:
            end = start + bags * size
            weight = weights.index_select(1, self.row[start:end]).reshape(batch, bags, 1, size)
            feature = padded.index_select(1, self.item[start:end]).reshape(batch, bags, size, channels)
            sums.append((weight @ feature)[:, :, 0])
            start = end
        return torch.cat(sums, dim=1).index_select(1, self.place)


BAGS: dict[SplatPath, type[WeightedBags]] = {
    "reference": ReferenceBags,
    "embedding_bag": EmbeddingBags,
    "bucketed": BucketedBags,
}


class Splat(nn.Module):
    """The table of one rig, ready to splat by ``path``."""

    point: Tensor

    def __init__(self, table: SplatTable, path: SplatPath) -> None:
        super().__init__()
        self.table = table
        self.bags = BAGS[path](table.patch, table.cell, table.grid.cells)
        point = table.patch * table.bins.count + table.depth_bin
        self.register_buffer("point", torch.tensor(point), persistent=False)

    def forward(self, features: Tensor, depth_probability: Tensor) -> Tensor:
        """features [B, N, Hp, Wp, C], depth_probability [B, N, D, Hp, Wp] -> [B, C, X, Y].

        Raises :class:`MismatchError` when a shape is not the table's.
        """
        batch, channels = features.shape[0], features.shape[-1]
        cameras, (rows, columns) = self.table.cameras, self.table.patch_grid
        for name, tensor, wanted in (
            ("features", features, (batch, cameras, rows, columns, channels)),
            ("depth_probability", depth_probability, (batch, cameras, self.table.bins.count, rows, columns)),
        ):
            if tuple(tensor.shape) != wanted:
                raise MismatchError(f"{name}: this rig's table wants {list(wanted)}, got {list(tensor.shape)}")
        weights = depth_probability.permute(0, 1, 3, 4, 2).reshape(batch, -1).index_select(1, self.point)
        cells: Tensor = self.bags(features.reshape(batch, -1, channels).to(weights.dtype), weights)
        return cells.transpose(1, 2).reshape(batch, channels, *self.table.grid.shape)
