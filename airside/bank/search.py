"""Cosine search in a bank: the best prototype per class for every patch, and nearest prototypes overall.

Per-class results need every class's own maximum, which FAISS's top-k does not give without searching each class
alone, so they are one matrix product and a segmented maximum, exact at any size (their cost grows with the bank);
``nearest`` is answered by :mod:`airside.bank.nearest`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from airside.bank.bank import ClassKind, KnownClass, PrototypeBank
from airside.bank.nearest import NearestIndex
from airside.bank.prototypes import prototypes_from_tokens
from airside.errors import UsageError

_UNIT_SQUARE_TOLERANCE = 0.02  # on |token|^2: half-precision engines round
_LEAST_SQUARE = 1e-6  # of a distance from the centre: what lies there resembles everything and nothing

SOFT_TEMPERATURE = 0.16  # of cosine; chosen on development frames of the simulator, see eval/LOG.md
GUARD_PROTOTYPES = 64
FAMILIAR = 0.62  # soft cosine that is neither familiar nor not; chosen like the temperature
MANY_PICTURES = 20  # a thing of fewer is in doubt
DOUBT_PASSES = 0.02  # share of the guarded patches that may pass as a class in doubt
DOUBT_LEAST = -0.3  # margin of a class that nothing guarded is like
DOUBT_UNGUARDED = 0.1  # margin of a class in doubt where the bank guards nothing


@dataclass(frozen=True, slots=True)
class Similarity:
    """Everything a scorer may ask about T patches, as cosines (high = alike), by class of the bank."""

    to_means: np.ndarray  # [T, classes] with each class's mean
    to_prototypes: np.ndarray  # [T, classes] with each class's nearest prototype
    # seen from the bank's centre (centre_of):
    soft: np.ndarray  # [T, classes] soft maximum over each class's prototypes, t log mean exp(cos / t)
    to_guard: np.ndarray  # [T] the same over prototypes of what must stay unknown; 0 where the bank keeps none
    # and of each class, whatever the tokens:
    doubted: np.ndarray  # [classes] bool: few pictures stand behind it
    margin: np.ndarray  # [classes] how much less it then convinces


@dataclass(frozen=True, slots=True)
class Nearest:
    """The ``k`` most similar prototypes of the whole bank per token, best first."""

    similarity: np.ndarray  # [T, k] float32 cosine
    prototype_index: np.ndarray  # [T, k] int64 into PrototypeIndex.prototypes
    class_index: np.ndarray  # [T, k] int32 into PrototypeIndex.names


class PrototypeIndex:
    """A bank laid out for search. Immutable: a new snapshot needs a new index (some milliseconds)."""

    def __init__(self, bank: PrototypeBank) -> None:
        counts = [len(known.prototypes) for known in bank.classes]
        no_rows = np.zeros((0, bank.channels), np.float32)
        self.names = bank.names
        self.channels = bank.channels
        self.prototypes = np.concatenate([no_rows, *(c.prototypes for c in bank.classes)])  # [P, C], class by class
        self.means = np.concatenate([no_rows, *(c.mean[None] for c in bank.classes)])  # [classes, C]
        self.class_of_prototype = np.repeat(np.arange(len(counts), dtype=np.int32), counts)  # [P]
        apart = np.array([name not in bank.names for name in bank.guard_names], bool)
        guarded = bank.guard_tokens[apart] if apart.any() else no_rows
        # [G, C], of the groups that are no class
        self.guard = prototypes_from_tokens(guarded, GUARD_PROTOTYPES) if len(guarded) else no_rows
        self.centre = centre_of(bank)  # [C]
        self.margin = np.array([margin_of(c, guarded, self.centre) for c in bank.classes], np.float32)  # [classes]
        self.doubted = np.array([is_in_doubt(c) for c in bank.classes], bool)  # [classes]
        self._counts = np.array(counts, np.float32)
        self._starts = np.cumsum([0, *counts[:-1]]).astype(np.intp)[: len(counts)]

    def class_similarity(self, tokens: np.ndarray) -> np.ndarray:
        """Best cosine of each token with any prototype of each class.

        tokens [T, C] float32, unit length -> [T, classes] float32 cosine, high = known. Raises
        :class:`UsageError` on another shape or type, and on NaN or vectors that are not of unit length.
        """
        self._require_tokens(tokens)
        if not self.names:
            return np.zeros((len(tokens), 0), np.float32)
        return self._best_by_class(self.prototypes @ tokens.T)

    def mean_similarity(self, tokens: np.ndarray) -> np.ndarray:
        """As :meth:`class_similarity`, with each class's mean as its only prototype (PROWL)."""
        self._require_tokens(tokens)
        similarity: np.ndarray = tokens @ self.means.T
        return similarity

    def similarity(self, tokens: np.ndarray) -> Similarity:
        """All cosines of ``tokens`` [T, C] float32, unit length, from one matrix product a kind."""
        self._require_tokens(tokens)
        empty = np.zeros((len(tokens), 0), np.float32)
        to_guard = self._to_guard(tokens)
        if not self.names:
            return Similarity(empty, empty, empty, to_guard, self.doubted, self.margin)
        cosine = self.prototypes @ tokens.T  # [P, T]
        seen = np.exp(seen_from(self.centre, self.prototypes, tokens, cosine) / SOFT_TEMPERATURE)
        soft = SOFT_TEMPERATURE * np.log(np.add.reduceat(seen, self._starts, axis=0) / self._counts[:, None])
        to_prototypes = self._best_by_class(cosine)
        soft = np.ascontiguousarray(soft.T)
        return Similarity(tokens @ self.means.T, to_prototypes, soft, to_guard, self.doubted, self.margin)

    def nearest(self, tokens: np.ndarray, k: int) -> Nearest:
        """The ``k`` most similar prototypes; ``k`` from 1 to the bank's number of prototypes."""
        self._require_tokens(tokens)
        if not 1 <= k <= len(self.prototypes):
            raise UsageError(f"nearest: wanted k from 1 to {len(self.prototypes)} (prototypes in the bank), got {k}")
        similarity, index = self._nearest_index.search(tokens, k)
        return Nearest(similarity, index, self.class_of_prototype[index])

    def _to_guard(self, tokens: np.ndarray) -> np.ndarray:
        if not len(self.guard):
            return np.zeros(len(tokens), np.float32)
        return soft_similarity(self.centre, self.guard, tokens)

    def _best_by_class(self, cosine: np.ndarray) -> np.ndarray:
        """[P, T] -> [T, classes]. P comes first so that the maximum runs over whole rows: along the short last axis it
        is not vectorised."""
        return np.ascontiguousarray(np.maximum.reduceat(cosine, self._starts, axis=0).T)

    @functools.cached_property
    def _nearest_index(self) -> NearestIndex:
        return NearestIndex(self.prototypes)

    def _require_tokens(self, tokens: np.ndarray) -> None:
        if tokens.ndim != 2 or tokens.shape[1] != self.channels or tokens.dtype != np.float32:
            raise UsageError(
                f"tokens: wanted a float32 array of shape [any, {self.channels}], got {tokens.dtype} {tokens.shape}"
            )
        off = np.abs(np.einsum("tc,tc->t", tokens, tokens) - 1.0)
        if not (off <= _UNIT_SQUARE_TOLERANCE).all():  # written so that NaN fails too
            bad = int(len(off) - (off <= _UNIT_SQUARE_TOLERANCE).sum())
            raise UsageError(f"tokens: wanted finite vectors of unit length; {bad} of {len(off)} are not")


def is_in_doubt(known: KnownClass) -> bool:
    """A thing of few pictures. Not one of an unknown number of pictures, and not stuff: ground in doubt would alarm
    everywhere."""
    return known.kind is ClassKind.THING and 0 < known.pictures < MANY_PICTURES


def margin_of(known: KnownClass, guarded: np.ndarray, centre: np.ndarray) -> float:
    """Cosine by which a class in doubt convinces less than others, or more where that is below 0.

    The network was not trained to gather its appearances as it gathers those of the classes it knows, so how alike is
    alike enough is read off what must stay unknown: of ``guarded`` [G, C] the share :data:`DOUBT_PASSES` exceeds
    :data:`FAMILIAR` with this margin, :data:`DOUBT_LEAST` at least. 0 for every other class.
    """
    if not is_in_doubt(known):
        return 0.0
    if not len(guarded):
        return DOUBT_UNGUARDED
    passing = np.quantile(soft_similarity(centre, known.prototypes, guarded), 1 - DOUBT_PASSES)
    return max(float(passing) - FAMILIAR, DOUBT_LEAST)


def centre_of(bank: PrototypeBank) -> np.ndarray:
    """What the classes of ``bank`` share, [C] float32: the mean of their means, as much of it as the mean cosine
    between two of them says is shared at all.

    Where the network was never trained on such pictures, its tokens share a direction: about the origin everything is
    alike, and evidence that sums over classes finds everything known. Where training has spread the classes (cosines
    about 0), the centre stays the origin. A class in doubt has no say: registering it moves nothing else.
    """
    settled = [known.mean for known in bank.classes if not is_in_doubt(known)]
    if len(settled) < 2:
        return np.zeros(bank.channels, np.float32)
    means = np.stack(settled)
    count = len(means)
    alike = float((means @ means.T).sum() - (means**2).sum()) / (count * (count - 1))
    return np.asarray(max(alike, 0.0) * means.mean(axis=0), np.float32)


def seen_from(centre: np.ndarray, prototypes: np.ndarray, tokens: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """Cosine [P, T] of each of ``prototypes`` [P, C] with each of ``tokens`` [T, C] as seen from ``centre`` [C], given
    their ``cosine`` [P, T] as seen from the origin; all of unit length."""
    own, shared = prototypes @ centre, tokens @ centre
    square = float(centre @ centre)
    far_p, far_t = (np.sqrt(np.maximum(1 - 2 * along + square, _LEAST_SQUARE)) for along in (own, shared))
    return np.asarray((cosine - own[:, None] - (shared - square)[None]) / far_p[:, None] / far_t[None], np.float32)


def soft_similarity(centre: np.ndarray, prototypes: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """``t log mean exp(cos / t)`` over ``prototypes`` [P, C] of ``tokens`` [T, C], seen from ``centre`` [C] -> [T]."""
    seen = seen_from(centre, prototypes, tokens, prototypes @ tokens.T)
    return np.asarray(SOFT_TEMPERATURE * np.log(np.exp(seen / SOFT_TEMPERATURE).mean(axis=0)))


def class_similarity_reference(tokens: np.ndarray, bank: PrototypeBank) -> np.ndarray:
    """What :meth:`PrototypeIndex.class_similarity` must give: the definition, one number at a time."""
    result = np.zeros((len(tokens), len(bank.classes)), np.float32)
    for t, token in enumerate(tokens):
        for c, known in enumerate(bank.classes):
            result[t, c] = max(float(np.dot(prototype, token)) for prototype in known.prototypes)
    return result
