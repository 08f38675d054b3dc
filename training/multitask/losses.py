"""Losses as sums: a total and a count, so that processes can add theirs up before anyone divides.

Axes: B samples, N cameras, M pictures, H W image, Hp Wp patches, D depth bins, L layers, X Y cells, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from airside.errors import MismatchError, UsageError
from airside.geometry.splat_table import DepthBins
from training.constants import constant

SCALE_SHARE = 0.5  # lambda of Eigen et al.
_LEAST_DEPTH_M = 1e-3


class DivergedError(UsageError):
    """A loss is no number any more: look at the data it names, or train more gently."""


class Sum(NamedTuple):
    """A mean that is not divided yet: ``total / count``, both scalars; ``count`` carries no gradient."""

    total: Tensor
    count: Tensor

    @property
    def mean(self) -> Tensor:
        """0 where nothing counts."""
        return self.total / self.count.clamp_min(1)


def scale_invariant_depth(depth_m: Tensor, truth_m: Tensor, max_m: float) -> Sum:
    """Scale-invariant error in log space (Eigen et al., arXiv 1406.2283, equation 4) of each picture [M, H, W], summed.

    Truth counts where it is finite, positive and at most ``max_m``; a picture without any is left out of the count.
    """
    known = _known(truth_m, max_m)
    error = depth_m.float().clamp_min(_LEAST_DEPTH_M).log() - torch.where(known, truth_m, 1.0).log()
    error = torch.where(known, error, 0.0)
    pixels = known.sum(dim=(1, 2))
    n = pixels.clamp_min(1)
    per_picture = error.square().sum(dim=(1, 2)) / n - SCALE_SHARE * (error.sum(dim=(1, 2)) / n).square()
    return Sum(per_picture.sum(), (pixels > 0).sum())


def absolute_relative_error(depth_m: Tensor, truth_m: Tensor, max_m: float) -> Sum:
    """AbsRel over the same pixels."""
    known = _known(truth_m, max_m)
    return Sum(((depth_m.float() - truth_m).abs() / truth_m)[known].sum(), known.sum())


def bev_cross_entropy(logits: Tensor, truth: Tensor, visible: Tensor, positive: Sequence[float]) -> Sum:
    """Binary cross-entropy of ``logits`` and ``truth`` [B, L, X, Y] over the ``visible`` [B, X, Y] cells.

    A covered cell of layer ``l`` counts ``positive[l]`` times. Raises :class:`MismatchError` on another number of them.
    """
    if len(positive) != logits.shape[1]:
        raise MismatchError(f"the recipe weighs {len(positive)} layers, the data has {logits.shape[1]}")
    weight = constant(positive, logits.device)[:, None, None]
    loss = functional.binary_cross_entropy_with_logits(logits.float(), truth, pos_weight=weight, reduction="none")
    seen = visible[:, None].expand_as(loss)
    return Sum(torch.where(seen, loss, 0.0).sum(), seen.sum())


def intersection_over_union(logits: Tensor, truth: Tensor, visible: Tensor) -> list[Sum]:
    """One sum a layer, over the visible cells; a cell is covered where its logit is positive."""
    said, is_so, seen = logits > 0, truth > 0, visible[:, None]
    both, either = (said & is_so & seen).sum(dim=(0, 2, 3)), ((said | is_so) & seen).sum(dim=(0, 2, 3))
    return [Sum(*pair) for pair in zip(both, either, strict=True)]


def depth_bin_cross_entropy(probability: Tensor, depth_m: Tensor, bins: DepthBins) -> Sum:
    """Cross-entropy of ``probability`` [B, N, D, Hp, Wp] with the bin of each patch's nearest pixel (BEVDepth,
    arXiv 2206.10092, section 3: minimum pooling, one-hot). ``depth_m`` [B, N, h, w], several pixels a patch; patches
    whose depth is unknown or outside the bins do not count.
    """
    b, n, _, hp, wp = probability.shape
    if depth_m.shape[2] % hp or depth_m.shape[3] % wp:
        raise MismatchError(f"depth {list(depth_m.shape)} does not divide into {hp} x {wp} patches")
    pixels = depth_m.reshape(b, n, hp, depth_m.shape[2] // hp, wp, depth_m.shape[3] // wp)
    nearest = torch.where(_known(pixels, torch.inf), pixels, torch.inf).amin(dim=(3, 5))
    edges = constant(bins.edges_m, depth_m.device)
    inside = (nearest >= bins.edges_m[0]) & (nearest < bins.edges_m[-1])
    target = (torch.bucketize(nearest, edges, right=True) - 1).clamp(0, bins.count - 1)
    found = probability.gather(2, target[:, :, None]).squeeze(2).float()
    loss = -found.clamp_min(torch.finfo(torch.float32).tiny).log()
    return Sum(torch.where(inside, loss, 0.0).sum(), inside.sum())


def cosine_distance(student: Tensor, teacher: Tensor) -> Sum:
    """1 - cosine of tokens [T, C] (AM-RADIO, arXiv 2312.06709, section 3.3: with smooth L1, 9 to 1)."""
    return Sum((1 - functional.cosine_similarity(student.float(), teacher, dim=-1)).sum(), _tokens(student))


def smooth_l1_distance(student: Tensor, teacher: Tensor) -> Sum:
    """Smooth L1 of tokens [T, C], mean over C. A teacher of unit length is taken times sqrt(C): its components are then
    about 1, where smooth L1 bends."""
    width = teacher.shape[-1]
    loss = functional.smooth_l1_loss(student.float(), teacher * width**0.5, reduction="none")
    return Sum(loss.mean(dim=-1).sum(), _tokens(student))


def require_finite(values: dict[str, float], step: int) -> None:
    """Raises :class:`DivergedError` that names every value which is no number, and the step."""
    lost = [name for name, value in values.items() if not torch.isfinite(torch.tensor(value))]
    if lost:
        raise DivergedError(
            f"step {step}: {', '.join(f'{name} is {values[name]}' for name in lost)}; lower the learning rate or clip, "
            "and look for NaN in that task's data; the last checkpoint is from before"
        )


def _known(truth_m: Tensor, max_m: float) -> Tensor:
    return torch.isfinite(truth_m) & (truth_m > 0) & (truth_m <= max_m)


def _tokens(tokens: Tensor) -> Tensor:
    return torch.tensor(len(tokens), device=tokens.device)
