"""Similarity to what is known -> how unfamiliar each patch is. One table of methods; every score is high = unknown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from airside.bank.search import FAMILIAR, SOFT_TEMPERATURE, Similarity
from airside.errors import InputError, UsageError
from airside.messages import OodMap
from airside.ood.calibration import TailModel
from airside.ood.logit import sigmoid, soft_limit

PROWL_FLAG_BELOW = 0.55  # similarity under which PROWL calls a patch unknown
GUARD_WEIGHT = 0.4  # chosen on development frames of the simulator, with the next two and SOFT_TEMPERATURE
EVIDENCE_CENTRE, EVIDENCE_SCALE = FAMILIAR, 0.05  # evidence that scores one half, and per unit of log odds
TIE_BREAK = 1e-4  # of a logit per unit of cosine: orders equal tail probabilities, moves none visibly


class PatchScores(NamedTuple):
    """What a scorer says of T patches."""

    ood_score: np.ndarray  # [T] float32 in [0, 1], high = unknown
    class_index: np.ndarray  # [T] int32, the class it resembles most
    similarity: np.ndarray  # [T] float32, cosine with that class


ScoreFunction = Callable[[Similarity, TailModel | None], PatchScores]


@dataclass(frozen=True, slots=True)
class Scorer:
    """A scoring rule, what it needs, and the threshold to draw with while a site has none of its own."""

    score: ScoreFunction
    calibrated_as: str  # what its thresholds are filed under: another name whenever its scores mean something else
    needs_tails: bool
    uncalibrated_threshold: float  # on ood_score; promises nothing, a site's own comes from conformal.py
    sharp: bool = False  # whether its map gains from being sharpened and unmixed (refine.py)

    def __call__(self, similarity: Similarity, tails: TailModel | None) -> PatchScores:
        """Score T patches.

        Raises :class:`InputError` on a similarity that is not finite (NaN must never read as known) and
        :class:`UsageError` on shapes that differ, no classes, or a missing tail model.
        """
        shape = similarity.to_means.shape
        by_class = (similarity.to_means, similarity.to_prototypes, similarity.soft)
        if len(shape) != 2 or shape[1] == 0 or any(s.shape != shape for s in by_class):
            raise UsageError(f"similarities must all be [T, n_classes], got {[list(s.shape) for s in by_class]}")
        for name, of_class in (("margin", similarity.margin), ("doubt", similarity.doubted)):
            if of_class.shape != shape[1:]:
                raise UsageError(f"the {name} must be [{shape[1]}], got {list(of_class.shape)}")
        if similarity.to_guard.shape != shape[:1]:
            raise UsageError(f"the similarity to the guard must be [{shape[0]}], got {list(similarity.to_guard.shape)}")
        if not all(np.isfinite(s).all() for s in (*by_class, similarity.to_guard, similarity.margin)):
            raise InputError("a similarity is not finite: the network's tokens for this image are unusable")
        if self.needs_tails and tails is None:
            raise UsageError("this method needs the bank's tail model: build it with TailModel.from_classes")
        return self.score(similarity, tails)


def score_prowl(similarity: Similarity, tails: TailModel | None) -> PatchScores:
    """PROWL (arXiv 2404.07664): one mean vector per class, ``s = max_c cos``, ``ood_score = clip(1 - s, 0, 1)``.

    Flagged where ``s < 0.55``. The paper's exact normaliser could not be confirmed: this is our reading of it.
    """
    return _one_minus_best(similarity.to_means)


def score_knn(similarity: Similarity, tails: TailModel | None) -> PatchScores:
    """Nearest prototype of any class, uncalibrated: ``ood_score = clip(1 - max cos, 0, 1)``."""
    return _one_minus_best(similarity.to_prototypes)


def score_default(similarity: Similarity, tails: TailModel | None) -> PatchScores:
    """Likelihood of a mixture over all prototypes, against the guard.

    Cosines are seen from what the bank's classes share (:func:`airside.bank.search.centre_of`).
    With prototypes as centres of von Mises-Fisher densities of concentration ``1 / t`` (Banerjee et al., JMLR 2005,
    equation 2.2), every class weighing the same, ``known = t log sum_c mean_p exp(cos / t)``. What resembles the bank's
    guard (debris that must stay unknown) counts against it: ``evidence = known - w t log mean_g exp(cos / t)``. The
    score is a fixed logistic of the evidence; a site's threshold on it comes from clean frames. A class registered
    later can only make patches more familiar. While few pictures stand behind it, it adds nothing to the others, but
    makes familiar what convinces it alone (``known`` is at least its ``soft - margin``); it takes names like any other.
    """
    best = np.argmax(similarity.soft, axis=1)
    convincing = (similarity.soft - similarity.margin).astype(np.float64)
    known = np.full(len(best), -np.inf)
    if (settled := convincing[:, ~similarity.doubted]).size:
        peak = settled.max(axis=1)
        known = peak + SOFT_TEMPERATURE * np.log(np.exp((settled - peak[:, None]) / SOFT_TEMPERATURE).sum(axis=1))
    if (doubted := convincing[:, similarity.doubted]).size:
        known = np.maximum(known, doubted.max(axis=1))
    ood = sigmoid((EVIDENCE_CENTRE - known + GUARD_WEIGHT * similarity.to_guard) / EVIDENCE_SCALE)
    nearest = similarity.to_prototypes[np.arange(len(best)), best]
    return PatchScores(ood.astype(np.float32), best.astype(np.int32), nearest.astype(np.float32))


def score_tail(similarity: Similarity, tails: TailModel | None) -> PatchScores:
    """Nearest prototype per class, calibrated: ``ood_score = 1 - max_c p_c`` (:mod:`airside.ood.calibration`).

    The maximum is taken over log odds, with raw similarity breaking ties, and beyond odds of about 150 to 1 the log
    odds are compressed (:func:`airside.ood.logit.soft_limit`), so that a float32 score still ranks the certain cases.
    """
    assert tails is not None  # Scorer refuses before
    log_odds = tails.tail_logit(similarity.to_prototypes) + TIE_BREAK * similarity.to_prototypes
    best = np.argmax(log_odds, axis=1)
    rows = np.arange(len(best))
    ood = sigmoid(-soft_limit(log_odds[rows, best]))
    nearest = similarity.to_prototypes[rows, best].astype(np.float32)
    return PatchScores(ood.astype(np.float32), best.astype(np.int32), nearest)


def _one_minus_best(similarity: np.ndarray) -> PatchScores:
    best = np.argmax(similarity, axis=1)
    nearest = similarity[np.arange(len(best)), best].astype(np.float32)
    return PatchScores(np.clip(1.0 - nearest, 0.0, 1.0), best.astype(np.int32), nearest)


METHODS: dict[str, Scorer] = {
    "default": Scorer(score_default, "default.2", needs_tails=False, uncalibrated_threshold=0.5, sharp=True),
    "tail": Scorer(score_tail, "tail", needs_tails=True, uncalibrated_threshold=0.95),
    "prowl": Scorer(score_prowl, "prowl", needs_tails=False, uncalibrated_threshold=1.0 - PROWL_FLAG_BELOW),
    "knn": Scorer(score_knn, "knn", needs_tails=False, uncalibrated_threshold=1.0 - PROWL_FLAG_BELOW),
}


def scorer(method: str) -> Scorer:
    """The scorer called ``method``; raises :class:`UsageError` naming the ones there are."""
    if method not in METHODS:
        raise UsageError(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    return METHODS[method]


def ood_map(scores: PatchScores, grid: tuple[int, int], class_names: tuple[str, ...]) -> OodMap:
    """Lay T = Hp * Wp patch scores (row by row) on the patch ``grid``.

    Raises :class:`UsageError` when they do not fill it, or when a class has no name.
    """
    if len(scores.ood_score) != grid[0] * grid[1]:
        raise UsageError(f"{len(scores.ood_score)} patches do not fill a grid of {grid[0]} x {grid[1]}")
    if scores.class_index.size and int(scores.class_index.max()) >= len(class_names):
        raise UsageError(f"class {int(scores.class_index.max())} has no name among {len(class_names)}")
    return OodMap(
        ood_score=scores.ood_score.reshape(grid),
        similarity=scores.similarity.reshape(grid),
        class_index=scores.class_index.reshape(grid),
        class_names=class_names,
    )
