"""Metric learning on patch tokens: tell assets apart, gather families, and keep a place for neither."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

TEMPERATURE = 0.07
NONE_COSINE = 0.5  # a patch whose best family cosine is below this belongs to no family
MARGIN = 0.1


def asset_loss(cosine: Tensor, asset: Tensor, weight: Tensor) -> Tensor:
    """Dense cosine softmax over assets: ``cosine`` [T, assets], ``asset`` [T] int64, ``weight`` [T] >= 0 -> scalar."""
    loss = functional.cross_entropy(cosine / TEMPERATURE, asset, reduction="none")
    return (loss * weight).sum() / weight.sum().clamp_min(1e-6)


def family_loss(cosine: Tensor, family: Tensor, weight: Tensor) -> Tensor:
    """Softmax over families and *none*, which answers with a constant cosine :data:`NONE_COSINE`.

    ``cosine`` [T, F]; ``family`` [T] int64, F for patches of no family (outliers); ``weight`` [T]. The right family's
    cosine is lowered by :data:`MARGIN` (CosFace, arXiv 1801.09414, equation 4), so known patches end well above the
    border and outliers below it for every family at once (outlier exposure, arXiv 1812.04606).
    """
    none = cosine.new_full((len(cosine), 1), NONE_COSINE)
    target = functional.one_hot(family, cosine.shape[1] + 1).to(cosine.dtype)
    margin = target * MARGIN
    margin[:, -1] *= 0
    outlier_margin = (1 - target[:, :-1]) * target[:, -1:] * MARGIN
    logits = torch.cat([cosine + outlier_margin, none], dim=1) - margin
    loss = functional.cross_entropy(logits / TEMPERATURE, family, reduction="none")
    return (loss * weight).sum() / weight.sum().clamp_min(1e-6)
