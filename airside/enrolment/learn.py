"""Tokens of one class, picture by picture -> prototypes, mean, and honest held-out similarities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from airside.bank.bank import ClassKind, KnownClass, SupportCrop
from airside.bank.prototypes import PROTOTYPES, prototypes_from_tokens, unit
from airside.bank.search import MANY_PICTURES
from airside.errors import InputError

FOLDS = 8
MAX_HELD_OUT = 4000  # similarities kept for calibration; more would only enlarge the snapshot
ALIKE = 0.4  # cosine of two pictures' mean tokens that show one appearance


def held_out_similarities(tokens_by_image: Sequence[np.ndarray], count: int = PROTOTYPES) -> np.ndarray:
    """Cosine of each token with the nearest prototype learnt from *other* pictures: [S] float32, ascending.

    Leave-one-image-out; beyond :data:`FOLDS` pictures, leave one of that many groups of pictures out. One picture alone
    has nothing to be held out against and gives an empty array.
    """
    images = [t for t in tokens_by_image if len(t)]
    if len(images) < 2:
        return np.zeros(0, np.float32)
    folds = min(FOLDS, len(images))
    found = []
    for fold in range(folds):
        rest = np.concatenate([t for k, t in enumerate(images) if k % folds != fold])
        mine = np.concatenate([t for k, t in enumerate(images) if k % folds == fold])
        found.append((mine @ prototypes_from_tokens(rest, count).T).max(axis=1))
    similarity = np.sort(np.clip(np.concatenate(found), -1, 1).astype(np.float32))
    if len(similarity) > MAX_HELD_OUT:
        similarity = similarity[np.linspace(0, len(similarity) - 1, MAX_HELD_OUT).round().astype(int)]
    return similarity


def appearances(tokens_by_image: Sequence[np.ndarray]) -> np.ndarray:
    """[P, C] unit length: the mean token of each group of pictures that look alike, one by one or by way of others."""
    means = np.stack([unit(tokens.mean(axis=0)) for tokens in tokens_by_image])
    alike = means @ means.T > ALIKE
    group = np.arange(len(means))
    for _ in group:  # as far as a chain may be long
        group = np.where(alike, group, len(group)).min(axis=1)
    return np.stack(
        [
            unit(np.concatenate([t for t, g in zip(tokens_by_image, group, strict=True) if g == number]).mean(axis=0))
            for number in np.unique(group)
        ]
    )


def learn_class(
    name: str,
    kind: ClassKind,
    tokens_by_image: Sequence[np.ndarray],
    support: Sequence[SupportCrop],
    *,
    protected: bool = False,
    prototypes: int | None = None,
) -> KnownClass:
    """A class from its patches: ``tokens_by_image`` holds [n, C] float32 unit-length tokens a picture.

    ``None`` prototypes: :data:`PROTOTYPES`; of few pictures one for each appearance, since more would describe the
    pictures more closely than the kind of thing.

    Raises :class:`InputError` when no picture has a single patch.
    """
    if not any(len(t) for t in tokens_by_image):
        raise InputError(f"class {name!r}: the object covers no whole patch in any picture; show it larger")
    seen = [t for t in tokens_by_image if len(t)]
    tokens = np.concatenate(seen)
    if prototypes is None and len(seen) < MANY_PICTURES:
        own = appearances(seen)
    else:
        own = prototypes_from_tokens(tokens, prototypes or PROTOTYPES)
    return KnownClass(
        name=name,
        kind=kind,
        protected=protected,
        prototypes=own,
        mean=unit(tokens.mean(axis=0)),
        held_out_similarity=held_out_similarities(tokens_by_image, len(own)),
        support=tuple(support),
        pictures=len(seen),
    )
