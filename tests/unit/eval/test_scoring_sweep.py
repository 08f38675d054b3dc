"""The sweep measures the same score that ships, and its figures follow the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airside.bank.prototypes import unit
from airside.bank.search import SOFT_TEMPERATURE, PrototypeIndex
from airside.ood.logit import logit, sigmoid
from airside.ood.scoring import EVIDENCE_CENTRE, EVIDENCE_SCALE, GUARD_WEIGHT, METHODS
from eval.apron_protocol import Protocol, dev_clean_plans, dev_plans
from eval.scoring_sweep import LargeObject, Material, figures, known_evidence
from tests.builders import tiny_bank, unit_rows


def test_the_shipped_constants_give_the_shipped_score() -> None:
    rng = np.random.default_rng(0)
    bank = tiny_bank(rng, 4, 16)
    index = PrototypeIndex(bank)
    tokens = unit_rows(rng, 30, 16)
    shipped = METHODS["default"](index.similarity(tokens), None).ood_score
    seen = unit(tokens - index.centre)
    known = known_evidence(seen, [unit(c.prototypes - index.centre) for c in bank.classes], SOFT_TEMPERATURE)
    guard = known_evidence(seen, [unit(index.guard - index.centre)], SOFT_TEMPERATURE)
    evidence = (EVIDENCE_CENTRE - known + GUARD_WEIGHT * guard) / EVIDENCE_SCALE
    np.testing.assert_allclose(shipped, sigmoid(evidence), rtol=1e-6)
    np.testing.assert_allclose(logit(1 - shipped)[shipped < 0.5], -evidence[shipped < 0.5], atol=1e-3)


def _material() -> Material:
    truth = np.zeros((2, 8, 8), np.uint8)
    truth[0, 2:6, 2:6] = 1
    drum = LargeObject(0, "drum", truth[0] == 1)
    return Material(np.zeros((2, 8, 8, 1)), truth, np.zeros((100, 8, 8, 1)), (drum,), {}, np.zeros((1, 1)))


@pytest.mark.parametrize(("strength", "ap", "recall"), [(9.0, 1.0, 1.0), (-9.0, None, 0.0)])
def test_figures_follow_the_truth(strength: float, ap: float | None, recall: float) -> None:
    rng = np.random.default_rng(1)
    m = _material()
    unknown, clean = rng.normal(size=(2, 8, 8)), rng.normal(size=(100, 8, 8))
    found = figures(m, unknown + strength * (m.truth == 1), clean)
    assert found["recall_at_1pct_clean"] == recall
    assert found["recall_by_type"] == {"drum": [int(recall), 1]}
    assert found["patch_ap"] == ap if ap is not None else found["patch_ap"] < 0.3
    scaled = figures(m, 7 * (unknown + strength * (m.truth == 1)) - 3, 7 * clean - 3)
    assert scaled["patch_ap"] == pytest.approx(found["patch_ap"])
    assert scaled["recall_by_type"] == found["recall_by_type"]


def test_development_worlds_are_none_of_the_benchmark() -> None:
    protocol = Protocol()
    used = {p.seed for p in [*protocol.test_plans(), *protocol.clean_plans(), *protocol.appearance_plans()]}
    chosen = {p.seed for p in [*dev_plans(), *dev_clean_plans()]}
    assert len(chosen) == 2
    assert not used & chosen
    assert replace(dev_plans()[0], seed=0) == replace(protocol.test_plans()[0], seed=0)
