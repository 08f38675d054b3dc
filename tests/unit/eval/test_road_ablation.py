from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from airside.assets import embedded_model
from airside.bank.store import BankStore
from airside.engine.onnx import load_engine
from eval.road.__main__ import main
from eval.road.mini_features import mini_features, trained_classifier
from tests.builders import taught_bank, tiny_bundle
from tests.road_data import SHAPE, masked_folder, write_png

WEIGHTS = Path(__file__).parents[3] / "training" / "weights" / "airside-mini.safetensors"


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    bundle = tiny_bundle(tmp_path / "model")
    BankStore(tmp_path / "bank").create(taught_bank(load_engine(bundle)), "test", "test")
    root = masked_folder(tmp_path / "data", ["a", "b"])
    made_with = ["--model", str(bundle), "--bank", str(tmp_path / "bank")]
    return ["ablation", "--dataset", "folder", "--root", str(root), *made_with, "--out", str(tmp_path / "out")]


def test_one_choice_at_a_time(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    rows = json.loads((tmp_path / "out" / "ablation.json").read_text())["rows"]
    assert {r["group"] for r in rows} == {"default", "prototypes", "guard", "score", "refinement", "patch grid"}
    assert rows[0]["ap_gain"] == 0
    for row in rows:
        assert 0 <= row["ap"] <= 1
        assert row["ap_gain"] == pytest.approx(row["ap"] - rows[0]["ap"])
        low, high = row["ap_gain_ci"]
        assert low <= high
    assert len({round(r["ap"], 6) for r in rows}) > 5  # choices matter
    assert rows[0]["ap_gain_ci"] == [0, 0]  # paired: the shipped one never differs from itself
    assert "patch grid" in capsys.readouterr().out
    page = (tmp_path / "out" / "ablation.html").read_text()
    assert not re.search(r"https?://|<script|<link|url\(", page)
    assert all(row["name"] in page for row in rows)


def test_some_of_the_frames(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--frames", "1"]) == 0
    report = json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert report["frames"] == 1
    assert report["rows"][0]["ap_gain_ci"] is None
    assert main([*arguments, "--frames", "0"]) == 2
    assert "--frames" in capsys.readouterr().err


def test_weights_of_another_network_are_refused(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    assert main([*arguments, "--weights", str(tmp_path / "none.safetensors")]) == 3
    assert "none.safetensors" in capsys.readouterr().err
    assert main([*arguments, "--weights", str(WEIGHTS)]) == 4
    assert "another network" in capsys.readouterr().err


def test_features_of_the_embedded_network() -> None:
    pytest.importorskip("torch")
    engine = load_engine(embedded_model(), threads=1)
    found = mini_features(WEIGHTS, engine)
    picture = np.random.default_rng(0).integers(0, 255, (1, 224, 392, 3), np.uint8)
    last = found["last"].tokens(picture)
    assert (last * engine.tokens(picture)).sum(axis=-1).min() > 0.999
    for feature, width in (("blocks:3,5", 384), ("blocks:1,2,4,5", 768), ("keys", 192)):
        tokens = found[feature].tokens(picture)
        assert tokens.shape == (1, 16, 28, width)
        assert np.linalg.norm(tokens, axis=-1) == pytest.approx(1, abs=1e-5)
    parts = found["blocks:3,5"].tokens(picture)[..., 192:]  # the last block is the second of the two
    assert (parts / np.linalg.norm(parts, axis=-1, keepdims=True) * last).sum(axis=-1).min() > 0.999
    assert trained_classifier(WEIGHTS).shape[1] == 192


def test_frames_that_show_nothing_unknown_are_named(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        write_png(tmp_path / "data" / "labels_masks" / f"{name}_labels_semantic.png", np.zeros(SHAPE, np.uint8))
    assert main(arguments) == 3
    assert "a_labels_semantic.png" in capsys.readouterr().err
