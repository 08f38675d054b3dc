"""What a new class would hide: its overlap with known classes, and whether guarded patches would take its name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from airside.bank.bank import KnownClass, PrototypeBank
from airside.bank.search import PrototypeIndex
from airside.ood.calibration import TailModel

EXPLAINED = 0.05  # tail probability from which a class makes a patch look ordinary
OVERLAP_WARNING = 0.25
HIDDEN_LIMIT = 0.20  # share of a guarded group's patches that may take the new name


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much of the new class an existing one explains already, as a share of the new class's patches."""

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class Hidden:
    """How much of a guarded group (persons, animals, debris) would take the new class's name."""

    name: str
    share: float
    patches: int


def overlaps(bank: PrototypeBank, tokens: np.ndarray) -> tuple[Overlap, ...]:
    """Classes of ``bank`` that explain more than :data:`OVERLAP_WARNING` of ``tokens`` [T, C], greatest share first."""
    if not bank.classes or not len(tokens):
        return ()
    tails = TailModel.from_classes(bank.classes).tail_probability(PrototypeIndex(bank).class_similarity(tokens))
    shares = (tails > 0.5).mean(axis=0)
    found = [Overlap(name, float(s)) for name, s in zip(bank.names, shares, strict=True) if s > OVERLAP_WARNING]
    return tuple(sorted(found, key=lambda o: -o.share))


def hidden_by(after: PrototypeBank, new: KnownClass) -> tuple[Hidden, ...]:
    """Guarded groups of which more than :data:`HIDDEN_LIMIT` would be called by the new class's name.

    A protected class may take the guarded patches of its own name: a person called person hides nobody.
    """
    if not len(after.guard_tokens):
        return ()
    index = PrototypeIndex(after)
    tails = TailModel.from_classes(after.classes).tail_probability(index.class_similarity(after.guard_tokens))
    mine = after.names.index(new.name)
    takes = (tails.argmax(axis=1) == mine) & (tails[:, mine] > EXPLAINED)
    names = np.asarray(after.guard_names)
    own = {new.name} if new.protected else set()
    groups = sorted(set(after.guard_names) - own)
    found = [Hidden(n, float(takes[names == n].mean()), int((names == n).sum())) for n in groups]
    return tuple(sorted((h for h in found if h.share > HIDDEN_LIMIT), key=lambda h: -h.share))
