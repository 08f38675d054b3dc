from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from airside.bank.store import BankStore
from airside.engine.onnx import load_engine
from eval.road.__main__ import main
from tests.builders import taught_bank, tiny_bundle
from tests.road_data import SHAPE, masked_folder, write_png


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
    assert len({round(r["ap"], 6) for r in rows}) > 5  # choices matter
    assert "patch grid" in capsys.readouterr().out


def test_frames_that_show_nothing_unknown_are_named(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        write_png(tmp_path / "data" / "labels_masks" / f"{name}_labels_semantic.png", np.zeros(SHAPE, np.uint8))
    assert main(arguments) == 3
    assert "a_labels_semantic.png" in capsys.readouterr().err
