from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from airside.bank.store import BankStore
from airside.engine.onnx import load_engine
from eval.road.__main__ import main
from eval.road.robustness import SPOILED
from tests.builders import taught_bank, tiny_bundle
from tests.road_data import SHAPE, masked_folder, write_png


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    bundle = tiny_bundle(tmp_path / "model")
    BankStore(tmp_path / "bank").create(taught_bank(load_engine(bundle)), "test", "test")
    root = masked_folder(tmp_path / "data", ["a", "b"])
    paths = [
        "--root",
        str(root),
        "--model",
        str(bundle),
        "--bank",
        str(tmp_path / "bank"),
        "--out",
        str(tmp_path / "out"),
    ]
    return ["robustness", "--dataset", "folder", "--method", "prowl", *paths]


def test_every_corruption_at_every_strength(arguments: list[str], tmp_path: Path) -> None:
    assert main(arguments) == 0
    report = json.loads((tmp_path / "out" / "robustness.json").read_text())
    assert set(report["corruptions"]) == set(SPOILED)
    assert {"rain", "deicing_spray", "fog", "snow"} < set(SPOILED)
    for cells in report["corruptions"].values():
        assert list(cells) == ["1", "2", "3"]
        for cell in cells.values():
            assert 0 <= cell["ap"] <= 1
            assert cell["relative_ap"] == pytest.approx(cell["ap"] / report["clean"]["ap"])
    assert report["clean"]["relative_ap"] == 1
    for cells in report["losses"].values():
        assert all(cell["declared_share"] == 1 for cell in cells.values())
    page = (tmp_path / "out" / "robustness.html").read_text()
    assert not re.search(r"https?://|<script|<link|url\(", page)
    assert "deicing spray" in page


def test_frames_that_show_nothing_unknown_are_named(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        write_png(tmp_path / "data" / "labels_masks" / f"{name}_labels_semantic.png", np.zeros(SHAPE, np.uint8))
    assert main(arguments) == 3
    assert "a_labels_semantic.png" in capsys.readouterr().err
