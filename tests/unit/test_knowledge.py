"""A bank prepared for one method, and the map it gives of a picture's tokens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from airside.bank.bank import ClassKind, PrototypeBank
from airside.bank.prototypes import unit
from airside.cameras.fit import fit_to_network
from airside.engine.onnx import OnnxEngine, load_engine
from airside.knowledge import knowledge_from_bank, map_from_tokens, maps_from_tokens
from airside.ood.scoring import METHODS
from tests.builders import apron_like_picture, taught_bank, tiny_bank, tiny_bundle, unit_rows


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> OnnxEngine:
    model: Path = tiny_bundle(tmp_path_factory.mktemp("knowledge") / "model")
    return load_engine(model, 1)


@pytest.fixture(scope="module")
def taught(engine: OnnxEngine) -> PrototypeBank:
    return taught_bank(engine)


def test_knowledge(taught: PrototypeBank) -> None:
    own, other = knowledge_from_bank(taught, "s", "default"), knowledge_from_bank(taught, "s", "tail")
    assert (own.threshold, own.calibrated, own.tails) == (0.008, True, None)
    assert (other.threshold, other.calibrated) == (METHODS["tail"].uncalibrated_threshold, False)
    assert other.tails is not None
    assert own.kinds == (ClassKind.STUFF, ClassKind.STUFF, ClassKind.THING)
    assert own.protected == {"person"}


def test_the_map_is_laid_out_row_by_row(engine: OnnxEngine, taught: PrototypeBank) -> None:
    image, _ = apron_like_picture(np.random.default_rng(5))
    tokens = engine.tokens(fit_to_network(image, 56, 98, 14).image[None])[0]
    way = knowledge_from_bank(taught, "", "knn")
    whole = map_from_tokens(tokens, way)
    for v, u in ((0, 0), (1, 5), (3, 2)):
        one = map_from_tokens(tokens[v : v + 1, u : u + 1], way)
        assert one.ood_score[0, 0] == pytest.approx(whole.ood_score[v, u], abs=1e-6)
        assert one.class_index[0, 0] == whole.class_index[v, u]
    assert whole.class_names == taught.names


def test_on_the_path_a_class_of_few_pictures_is_not_doubted() -> None:
    rng = np.random.default_rng(0)
    bank = tiny_bank(rng)
    new = replace(bank.classes[2], pictures=5)
    tokens = unit_rows(rng, 28, bank.channels).reshape(4, 7, -1)
    near = np.repeat(new.prototypes, 40, axis=0) + rng.normal(0, 0.05, (40 * len(new.prototypes), bank.channels))
    for guard, doubt in ((unit(near), True), (-new.mean[None].repeat(9, axis=0), False)):
        few = replace(
            bank,
            classes=(*bank.classes[:2], new),
            guard_tokens=guard.astype(np.float32),
            guard_names=("debris",) * len(guard),
        )
        way = knowledge_from_bank(few, "", "default")
        assert (way.index.margin[2] > 0) == doubt
        whole, path = maps_from_tokens(tokens, way)
        assert (path.ood_score <= whole.ood_score).all()
        assert (path.ood_score < whole.ood_score).any() == doubt
        np.testing.assert_array_equal(path.class_index, whole.class_index)
