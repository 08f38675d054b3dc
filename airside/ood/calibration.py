"""How usual a similarity is for a class: its tail probability under held-out known patches.

``p_c(s) = P(S <= s)`` for a known patch of class c, so that one threshold means the same on tarmac, sky and a thin
pole. Every class has the same quantile levels; between two of them the logit of the level is linear in similarity,
and beyond the outermost it goes on in a straight line, so p never saturates and never ties.

A class is described by a location (median), a scale (interquartile range) and a shape (standardised steps between
neighbouring quantiles). Each shrinks towards the pool of all classes with weight ``n / (n + n0)``: the location
soon (a median is known early), scale and shape late. Patches of one photograph resemble each other, so an image
counts for at most ``PATCHES_WORTH_OF_IMAGE`` samples. The pooled shape is the weighted mean of the classes' quantile
steps (Vincent averaging) with a little of the logistic distribution mixed in, which carries banks of a few patches.
Quantile levels that a class is too small to show take the pool's shape, attached to its own last quantile.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from airside.bank.bank import KnownClass
from airside.errors import UsageError
from airside.ood.logit import sigmoid

LEVELS = np.array(
    [
        *(0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.2),  # denser where unknown patches fall
        *(0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.98),
    ]
)
PATCHES_WORTH_OF_IMAGE = 8
LOCATION_N0 = 4.0
SHAPE_N0 = 40.0  # of scale and shape: five images (40 samples' worth) are half their own, half the pool
TAIL_SAMPLES = 3  # a quantile counts as seen when this many samples lie beyond it: a lone minimum is noise
MIN_SCALE = 0.005  # of cosine; a class of identical crops would otherwise find everything else impossible
_LOGITS = np.log(LEVELS) - np.log1p(-LEVELS)
_QUARTER, _MEDIAN, _THREE_QUARTERS = (int(i) for i in np.searchsorted(LEVELS, (0.25, 0.5, 0.75)))
_LOGISTIC_STEPS = np.diff(_LOGITS) / (_LOGITS[_THREE_QUARTERS] - _LOGITS[_QUARTER])  # interquartile range 1
_LOGISTIC_WEIGHT = 0.1  # in the pooled shape, where a well-sampled class weighs nearly 1
_MIN_STEP = 1e-3  # of a scale: repeated samples must not make p jump
_SLOPE_SPAN = 3  # the tails continue with the slope over this many steps, not over the last, noisiest one
_FAR = 3.0  # of cosine: farther than any two cosines are apart, so interpolation covers every query


@dataclass(frozen=True, slots=True)
class TailModel:
    """Per-class tails as one table of straight pieces in (similarity, logit)."""

    similarity: np.ndarray  # [n_classes, K + 2] float64, strictly ascending; the outermost two carry the tails
    logits: np.ndarray  # [n_classes, K + 2] float64, strictly ascending

    @classmethod
    def from_classes(cls, classes: Sequence[KnownClass]) -> TailModel:
        """Tails of the classes of a bank, in its order; a class that keeps no support counts by samples alone."""
        return cls.fit([c.held_out_similarity for c in classes], [len(c.support) or None for c in classes])

    @classmethod
    def fit(cls, held_out: Sequence[np.ndarray], images: Sequence[int | None]) -> TailModel:
        """Tails from ``held_out`` cosines ([S] each, any order, may be empty) seen in ``images`` photographs each.

        Raises :class:`UsageError` when a cosine is not finite or not within [-1, 1], or when no class has any.
        """
        samples = [_checked(s, index) for index, s in enumerate(held_out)]
        if len(samples) != len(images):
            raise UsageError(f"one image count per class is wanted: {len(samples)} classes, {len(images)} counts")
        if not any(len(s) for s in samples):
            raise UsageError(
                "no class has held-out similarities: nothing can be calibrated; enrol at least one class from two "
                "or more images, or use --method prowl"
            )
        worth = np.array([effective_samples(len(s), n) for s, n in zip(samples, images, strict=True)])
        own_location, own_scale, own_steps, seen = _describe(samples)
        location, scale = _shrink_location_scale(own_location, own_scale, worth)
        steps = _shrink_steps(own_steps, seen, worth / (worth + SHAPE_N0))
        shape = np.concatenate([np.zeros((len(samples), 1)), np.cumsum(steps, axis=1)], axis=1)
        knots = location[:, None] + scale[:, None] * (shape - shape[:, [_MEDIAN]])
        return cls(*_with_tails(knots))

    def tail_logit(self, similarity: np.ndarray) -> np.ndarray:
        """Log odds of :meth:`tail_probability`, [T, n_classes] float64; the form that keeps its resolution."""
        if similarity.ndim != 2 or similarity.shape[1] != len(self.similarity):
            raise UsageError(f"similarity must be [T, {len(self.similarity)}], got {list(similarity.shape)}")
        columns = np.ascontiguousarray(similarity.T, dtype=np.float64)
        out = np.empty_like(columns)
        for index, column in enumerate(columns):
            out[index] = np.interp(column, self.similarity[index], self.logits[index])
        return out.T

    def tail_probability(self, similarity: np.ndarray) -> np.ndarray:
        """``P(S <= similarity)`` for a known patch of each class; high = known.

        ``similarity`` [T, n_classes] cosines -> [T, n_classes] float64 in (0, 1), strictly increasing in each column
        (until float64 rounds). Raises :class:`UsageError` when the number of classes differs.
        """
        return sigmoid(self.tail_logit(similarity))


def tail_logit_reference(model: TailModel, similarity: float, class_index: int) -> float:
    """One value of :meth:`TailModel.tail_logit`, slowly and obviously: find the piece, walk along it."""
    x = [float(v) for v in model.similarity[class_index]]
    y = [float(v) for v in model.logits[class_index]]
    piece = min(max(bisect.bisect_right(x, similarity) - 1, 0), len(x) - 2)
    share = (similarity - x[piece]) / (x[piece + 1] - x[piece])
    return y[piece] + share * (y[piece + 1] - y[piece])


def effective_samples(samples: int, images: int | None) -> float:
    """What ``samples`` correlated patches from ``images`` photographs are worth; ``None``: images not known."""
    return float(samples if images is None else min(samples, PATCHES_WORTH_OF_IMAGE * images))


def _checked(similarity: np.ndarray, index: int) -> np.ndarray:
    values = np.asarray(similarity, np.float64).reshape(-1)
    if not np.isfinite(values).all() or (np.abs(values) > 1.002).any():
        raise UsageError(f"held-out similarities of class {index} must be finite cosines in [-1, 1]")
    return values


def _describe(samples: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Own location [n], scale [n], steps [n, K-1] in units of scale, and which steps the samples can show."""
    location, scale = np.zeros(len(samples)), np.full(len(samples), MIN_SCALE)
    steps, seen = np.zeros((len(samples), len(LEVELS) - 1)), np.zeros((len(samples), len(LEVELS) - 1), bool)
    for index, values in enumerate(samples):
        if not len(values):
            continue
        quantiles = np.quantile(values, LEVELS, method="weibull")  # k-th of n at level k / (n + 1)
        location[index] = quantiles[_MEDIAN]
        scale[index] = max(quantiles[_THREE_QUARTERS] - quantiles[_QUARTER], MIN_SCALE)
        steps[index] = np.diff(quantiles) / scale[index]
        level_seen = np.minimum(LEVELS, 1 - LEVELS) * (len(values) + 1) >= TAIL_SAMPLES
        seen[index] = level_seen[:-1] & level_seen[1:]
    return location, scale, steps, seen


def _shrink_location_scale(location: np.ndarray, scale: np.ndarray, worth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each class's location and scale, drawn to the pool's; scales average as logarithms."""
    by_location, by_scale = worth / (worth + LOCATION_N0), worth / (worth + SHAPE_N0)
    pooled_location = float(np.average(location, weights=by_location))
    pooled_log_scale = float(np.average(np.log(scale), weights=by_scale))
    return (
        by_location * location + (1 - by_location) * pooled_location,
        np.exp(by_scale * np.log(scale) + (1 - by_scale) * pooled_log_scale),
    )


def _shrink_steps(steps: np.ndarray, seen: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Each class's standardised quantile steps [n, K-1], drawn to the pool's, which also fill what it cannot show."""
    mass = seen * weight[:, None]
    pooled = (np.sum(mass * steps, axis=0) + _LOGISTIC_WEIGHT * _LOGISTIC_STEPS) / (mass.sum(axis=0) + _LOGISTIC_WEIGHT)
    own = np.where(seen, steps, pooled)
    return np.asarray(np.maximum(weight[:, None] * own + (1 - weight[:, None]) * pooled, _MIN_STEP))


def _with_tails(knots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Knots [n, K] -> (similarity, logit) tables [n, K + 2] whose outermost points continue both ends straight on."""
    logits = np.broadcast_to(_LOGITS, knots.shape)
    low = (logits[:, _SLOPE_SPAN] - logits[:, 0]) / (knots[:, _SLOPE_SPAN] - knots[:, 0])
    high = (logits[:, -1] - logits[:, -1 - _SLOPE_SPAN]) / (knots[:, -1] - knots[:, -1 - _SLOPE_SPAN])
    ends = [(knots[:, 0] - _FAR, logits[:, 0] - _FAR * low), (knots[:, -1] + _FAR, logits[:, -1] + _FAR * high)]
    similarity, tail = (np.column_stack([ends[0][i], inner, ends[1][i]]) for i, inner in enumerate((knots, logits)))
    if not (math.isfinite(float(tail.sum())) and (np.diff(similarity, axis=1) > 0).all()):
        raise AssertionError("tail table is not strictly ascending")  # unreachable: steps have a floor
    return similarity, tail
