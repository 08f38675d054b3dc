"""Tokens are collected from patches of one thing only, and no class takes more than its share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from airside.engine.onnx import OnnxEngine, load_engine
from airside.enrolment.support import decode_crop, pixels_sha256
from prototypes.collect import CROPS_PER_CLASS, MAX_TOKENS_PER_PICTURE, MIN_CROP_PATCHES, MIN_PURITY, Collector
from tests.builders import tiny_bundle

NAMES = ("tarmac", "sky", "tug")
PATCH = 14


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> OnnxEngine:
    model: Path = tiny_bundle(tmp_path_factory.mktemp("collect") / "model")
    return load_engine(model, 1)


def _collector(engine: OnnxEngine) -> Collector:
    return Collector(engine, np.random.default_rng(0))


def _noise(seed: int = 0) -> np.ndarray:
    rgb: np.ndarray = np.random.default_rng(seed).integers(0, 256, (56, 98, 3), np.uint8)
    return rgb


def _label(*blocks: tuple[int, int, int, int, int]) -> np.ndarray:
    """Tarmac with ``index`` in each block (index, x0, y0, x1, y1), in pixels."""
    label = np.zeros((56, 98), np.uint16)
    for index, x0, y0, x1, y1 in blocks:
        label[y0:y1, x0:x1] = index
    return label


def test_only_pure_patches_count(engine: OnnxEngine) -> None:
    rgb = _noise()
    enough, too_little = round(MIN_PURITY * PATCH) + 1, round(MIN_PURITY * PATCH) - 1
    label = _label((2, 14, 14, 28, 28), (2, 42, 14, 42 + enough, 28), (2, 70, 14, 70 + too_little, 28))
    collector = _collector(engine)
    collector.add(rgb, label, NAMES)
    grid = engine.tokens(rgb[None])[0]
    assert collector.tokens.keys() == {"tarmac", "tug"}
    (tug,), (tarmac,) = collector.tokens["tug"], collector.tokens["tarmac"]
    assert np.array_equal(tug, grid[1, [1, 3]])
    assert len(tarmac) == 28 - 3  # the mixed patch is nobody's
    assert not (tarmac @ grid[1, 5] > 1 - 1e-6).any()


def test_a_thing_without_a_pure_patch_gives_nothing(engine: OnnxEngine) -> None:
    collector = _collector(engine)
    collector.add(_noise(), _label((2, 21, 21, 35, 35)), NAMES)  # a quarter of each of four patches
    assert "tug" not in collector.tokens
    assert collector.crops["tug"] == []


def test_skipped_names(engine: OnnxEngine) -> None:
    collector = _collector(engine)
    collector.add(_noise(), _label((2, 0, 0, 56, 56)), NAMES, skip=frozenset({"tarmac"}))
    assert collector.tokens.keys() == {"tug"}
    assert collector.crops["tarmac"] == []


def test_pictures_are_kept_apart(engine: OnnxEngine) -> None:
    collector = _collector(engine)
    for seed, columns in ((0, 2), (1, 3)):
        collector.add(_noise(seed), _label((2, 0, 0, columns * PATCH, PATCH)), NAMES)
    assert [len(t) for t in collector.tokens["tug"]] == [2, 3]


def test_no_picture_gives_more_than_its_share(engine: OnnxEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_TOKENS_PER_PICTURE == 40
    monkeypatch.setattr("prototypes.collect.MAX_TOKENS_PER_PICTURE", 9)
    first, again, whole = _collector(engine), _collector(engine), engine.tokens(_noise()[None])[0].reshape(28, 8)
    for collector in (first, again):
        collector.add(_noise(), _label(), NAMES)
    (tokens,) = first.tokens["tarmac"]
    found = [int(np.flatnonzero((whole == token).all(axis=1))[0]) for token in tokens]
    assert len(set(found)) == 9
    assert found != sorted(found)[:1] + list(range(1, 9))  # drawn, not the first nine
    assert np.array_equal(again.tokens["tarmac"][0], tokens)


def test_only_so_many_crops_and_only_of_things_large_enough(engine: OnnxEngine) -> None:
    collector = _collector(engine)
    small = _label((2, 0, 0, (MIN_CROP_PATCHES - 1) * PATCH, PATCH))
    large = _label((2, 0, 0, MIN_CROP_PATCHES * PATCH, PATCH))
    assert 2 <= MIN_CROP_PATCHES <= 7  # they fit into one row
    collector.add(_noise(99), small, NAMES)
    assert collector.crops["tug"] == []
    for seed in range(CROPS_PER_CLASS + 3):
        collector.add(_noise(seed), large, NAMES)
    assert [c.sha256 for c in collector.crops["tug"]] == [pixels_sha256(_noise(s)) for s in range(CROPS_PER_CLASS)]
    assert len(collector.tokens["tug"]) == CROPS_PER_CLASS + 4


def test_a_crop_shows_the_largest_piece(engine: OnnxEngine) -> None:
    collector = _collector(engine)
    collector.add(_noise(), _label((2, 0, 0, 56, 42), (2, 70, 42, 98, 56)), NAMES)
    (crop,) = collector.crops["tug"]
    mask = decode_crop(crop, "").mask
    assert mask is not None
    assert mask.sum() == 56 * 42
    assert mask[:42, :56].all()
