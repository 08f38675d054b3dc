"""A bank snapshot laid out for one scoring method: everything a tick asks of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from airside.bank.bank import Calibration, ClassKind, PrototypeBank
from airside.bank.search import PrototypeIndex, Similarity
from airside.messages import OodMap
from airside.ood.calibration import TailModel
from airside.ood.path import PATH
from airside.ood.scoring import Scorer, ood_map, scorer


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known, and from which score on something is not."""

    snapshot: str
    model_fingerprint: str
    method: str
    scorer: Scorer
    index: PrototypeIndex
    tails: TailModel | None
    kinds: tuple[ClassKind, ...]
    protected: frozenset[str]
    threshold: float  # on the region score
    calibrated: bool
    path_threshold: float | None  # on the path's patches; ``None``: not calibrated, the path is looked at as all else


def knowledge_from_bank(bank: PrototypeBank, snapshot: str, method: str) -> Knowledge:
    """Prepare ``bank`` for ``method``; without a calibration of its own the method's stand-in threshold is used."""
    rule = scorer(method)
    own = _calibration(bank, rule.calibrated_as)
    path = _calibration(bank, rule.calibrated_as + PATH)
    return Knowledge(
        snapshot=snapshot,
        model_fingerprint=bank.model_fingerprint,
        method=method,
        scorer=rule,
        index=PrototypeIndex(bank),
        tails=TailModel.from_classes(bank.classes) if rule.needs_tails else None,
        kinds=tuple(c.kind for c in bank.classes),
        protected=frozenset(c.name for c in bank.classes if c.protected),
        threshold=own.threshold if own is not None else rule.uncalibrated_threshold,
        calibrated=own is not None,
        path_threshold=path.threshold if path is not None else None,
    )


def _calibration(bank: PrototypeBank, filed_as: str) -> Calibration | None:
    return next((c for c in bank.calibrations if c.method == filed_as and np.isfinite(c.threshold)), None)


def map_from_tokens(tokens: np.ndarray, knowledge: Knowledge) -> OodMap:
    """Patch tokens [Hp, Wp, C] of unit length -> how unfamiliar every patch is."""
    return _map_of(_similarity(tokens, knowledge), tokens, knowledge)


def maps_from_tokens(tokens: np.ndarray, knowledge: Knowledge) -> tuple[OodMap, OodMap]:
    """That map, and the one by which the path is judged, from one search. In the second, classes taught from few
    pictures convince like the others, or more: the margin of a class alone must not make it unfamiliar there."""
    found = _similarity(tokens, knowledge)
    whole = _map_of(found, tokens, knowledge)
    if (found.margin <= 0).all():
        return whole, whole
    return whole, _map_of(replace(found, margin=np.minimum(found.margin, 0)), tokens, knowledge)


def _similarity(tokens: np.ndarray, knowledge: Knowledge) -> Similarity:
    return knowledge.index.similarity(tokens.reshape(-1, tokens.shape[-1]))


def _map_of(similarity: Similarity, tokens: np.ndarray, knowledge: Knowledge) -> OodMap:
    scores = knowledge.scorer(similarity, knowledge.tails)
    return ood_map(scores, (tokens.shape[0], tokens.shape[1]), knowledge.index.names)
