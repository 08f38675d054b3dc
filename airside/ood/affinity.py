"""Where neighbouring patches agree: cosines along the edges of the patch grid, and the groups they tie together."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from airside.errors import UsageError

_HALF = ((0, 1), (1, -1), (1, 0), (1, 1))  # the other four neighbours are these seen from the other side
_Slices = tuple[slice, slice]


def neighbour_cosines(tokens: np.ndarray) -> Iterator[tuple[_Slices, _Slices, np.ndarray]]:
    """Each of the grid's 8-neighbour edges once: (patches, their neighbours, cosine [h, w]) for four directions.

    ``tokens`` [Hp, Wp, C] unit length; the slices index any [Hp, Wp] array.
    """
    height, width = tokens.shape[:2]
    for dy, dx in _HALF:
        here = (slice(0, height - dy), slice(max(-dx, 0), width - max(dx, 0)))
        there = (slice(dy, height), slice(max(dx, 0), width - max(-dx, 0)))
        yield here, there, np.einsum("hwc,hwc->hw", tokens[here], tokens[there])


def alike_sums(values: np.ndarray, tokens: np.ndarray, seen: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Over the 8 neighbours of each patch, weighted by their squared cosines with it (negative ones count for nothing):
    the sum of ``values`` [Hp, Wp] and that of the weights, both [Hp, Wp] of the type of ``values``.

    ``tokens`` [Hp, Wp, C] unit length; patches where ``seen`` [Hp, Wp] is 0 lend nothing (``None``: all lend).
    """
    total, weight = np.zeros_like(values), np.zeros_like(values)
    lent = values.dtype.type(1) if seen is None else seen.astype(values.dtype)
    lent = np.broadcast_to(lent, values.shape)
    for here, there, cosine in neighbour_cosines(tokens):
        tie = np.clip(cosine, 0, 1) ** 2
        for a, b in ((here, there), (there, here)):
            total[a] += tie * lent[b] * values[b]
            weight[a] += tie * lent[b]
    return total, weight


def affinity_groups(member: np.ndarray, tokens: np.ndarray, min_cosine: float, min_patches: int) -> np.ndarray:
    """Group ``member`` patches that a chain of neighbours with cosine >= ``min_cosine`` connects (single linkage).

    ``member`` [Hp, Wp] bool, ``tokens`` [Hp, Wp, C] unit length -> [Hp, Wp] int32: groups 1, 2, ... Every other patch,
    and every group under ``min_patches``, takes the number of the nearest group, so the result cuts the whole grid
    into territories. All 1 where no group is large enough. Raises :class:`UsageError` on shapes that differ.
    """
    if member.ndim != 2 or tokens.ndim != 3 or tokens.shape[:2] != member.shape:
        raise UsageError(f"member [Hp, Wp] and tokens [Hp, Wp, C] are wanted: {member.shape}, {tokens.shape}")
    edges = [(a, b, member[a] & member[b] & (cosine >= min_cosine)) for a, b, cosine in neighbour_cosines(tokens)]
    root = np.arange(member.size).reshape(member.shape)
    while True:
        before = root.copy()
        for a, b, tied in edges:
            least = np.minimum(root[a], root[b])
            root[a] = np.where(tied, least, root[a])
            root[b] = np.where(tied, least, root[b])
        root = root.reshape(-1)[root]  # jump to the root's root: a long chain takes few rounds
        if np.array_equal(root, before):
            break
    _, group, size = np.unique(np.where(member, root, -1), return_inverse=True, return_counts=True)
    group = group.reshape(member.shape)
    kept = member & (size[group] >= min_patches)
    if not kept.any():
        return np.ones(member.shape, np.int32)
    compact = np.unique(group[kept], return_inverse=True)[1]
    _, nearest = cv2.distanceTransformWithLabels(
        (~kept).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    number_of_label = np.zeros(int(nearest.max()) + 1, np.int32)
    number_of_label[nearest[kept]] = compact.reshape(-1) + 1
    return np.asarray(number_of_label[nearest])
