"""Tokens taken out before prototypes are learnt: near-duplicates, patches that look like another class, and what a
coreset of the rest leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import faiss
import numpy as np

NEAR_DUPLICATE = 0.995  # cosine with a patch already kept
NEIGHBOURS = 3
MIN_KEPT = 8  # patches; a class that would be left with fewer keeps them all
OUTLIER_MARGIN = 0.05  # of cosine by which another class is nearer than the class's own other pictures
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Curation:
    """What was taken out of one class, in patches."""

    name: str
    patches: int
    near_duplicates: int
    outliers: int
    beyond_coreset: int = 0


def curated(
    tokens: Mapping[str, Sequence[np.ndarray]], coreset_share: float = 1.0
) -> tuple[dict[str, list[np.ndarray]], tuple[Curation, ...]]:
    """``tokens``: class -> one array [n, C] float32, unit length, a picture. The same without near-duplicates, then
    without outliers, then only the ``coreset_share`` of each class that covers the rest best; every picture keeps its
    array, which may be empty. A class that would be left with fewer than :data:`MIN_KEPT` patches keeps what it would
    lose.
    """
    unique = {name: _without_duplicates(pictures) for name, pictures in tokens.items()}
    outlying = {name: _outliers(name, unique) for name in unique}
    kept, report = {}, []
    for name, pictures in unique.items():
        drop = outlying[name]
        if sum(int((~d).sum()) for d in drop) < MIN_KEPT:
            drop = [np.zeros(len(d), bool) for d in drop]
        inside = [t[~d] for t, d in zip(pictures, drop, strict=True)]
        kept[name] = _coreset(inside, coreset_share)
        patches, distinct, familiar, chosen = (
            sum(map(len, found)) for found in (tokens[name], pictures, inside, kept[name])
        )
        report.append(Curation(name, patches, patches - distinct, distinct - familiar, familiar - chosen))
    return kept, tuple(report)


def farthest_first(tokens: np.ndarray, count: int) -> np.ndarray:
    """Indices [count] of ``tokens`` [n, C] of unit length that leave no other far from all of them: the most central
    one, then always the one farthest from those chosen (Gonzalez 1985; PatchCore, arXiv 2106.08265)."""
    chosen = [int(np.argmax(tokens @ tokens.mean(axis=0)))]
    nearest = tokens @ tokens[chosen[0]]
    for _ in range(min(count, len(tokens)) - 1):
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, tokens @ tokens[chosen[-1]])
    return np.array(chosen)


def _coreset(pictures: Sequence[np.ndarray], share: float) -> list[np.ndarray]:
    joined = np.concatenate(list(pictures))
    count = max(MIN_KEPT, round(share * len(joined)))
    if count >= len(joined):
        return list(pictures)
    keep = np.zeros(len(joined), bool)
    keep[farthest_first(joined, count)] = True
    return [t[k] for t, k in zip(pictures, _cut(keep, pictures), strict=True)]


def _without_duplicates(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Each patch that is no near-duplicate of one kept before it."""
    joined = np.concatenate(list(pictures))
    keep = np.zeros(len(joined), bool)
    for start in range(0, len(joined), _BLOCK):  # in blocks: all pairs at once would not fit memory
        block = joined[start : start + _BLOCK]
        before = joined[:start][keep[:start]]
        known = (block @ before.T > NEAR_DUPLICATE).any(axis=1) if len(before) else np.zeros(len(block), bool)
        alike = block @ block.T > NEAR_DUPLICATE
        for k in range(len(block)):
            keep[start + k] = not known[k] and not (alike[k, :k] & keep[start : start + k]).any()
    if keep.sum() < MIN_KEPT:
        return list(pictures)
    return [t[k] for t, k in zip(pictures, _cut(keep, pictures), strict=True)]


def _outliers(name: str, tokens: Mapping[str, Sequence[np.ndarray]]) -> list[np.ndarray]:
    """[n] bool a picture: another class is clearly nearer than this class in other pictures. None where the class has
    one picture, or is alone."""
    pictures = tokens[name]
    others = [t for other, found in tokens.items() if other != name for t in found if len(t)]
    nothing = [np.zeros(len(t), bool) for t in pictures]
    if sum(len(t) > 0 for t in pictures) < 2 or not others:
        return nothing
    elsewhere = _nearest(np.concatenate(others), np.concatenate(list(pictures)))
    found = []
    for k, (mine, away) in enumerate(zip(pictures, _cut(elsewhere, pictures), strict=True)):
        rest = np.concatenate([t for j, t in enumerate(pictures) if j != k])
        found.append(away > _nearest(rest, mine) + OUTLIER_MARGIN if len(mine) and len(rest) else nothing[k])
    return found


def _nearest(known: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Mean cosine of each of ``tokens`` with its nearest of ``known``: [n]. Several, so that one patch under a wrong
    name does not speak for its class."""
    index = faiss.IndexFlatIP(known.shape[1])
    index.add(np.ascontiguousarray(known))
    return np.asarray(index.search(np.ascontiguousarray(tokens), min(NEIGHBOURS, len(known)))[0].mean(axis=1))


def _cut(values: np.ndarray, pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """One long array as one a picture."""
    return np.split(values, np.cumsum([len(t) for t in pictures])[:-1])
