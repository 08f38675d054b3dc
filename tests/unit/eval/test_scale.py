"""The scaling figures on small sizes: what is measured, and that the plot is drawn."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from eval import scale


def test_the_report_and_its_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "CAMERAS", (1, 2))
    monkeypatch.setattr(scale, "CLASSES", (2, 4))
    monkeypatch.setattr(scale, "SIZES", ((56, 98), (84, 98)))
    monkeypatch.setattr(scale, "REGISTERED", (2, 5))
    words = ["--json", str(tmp_path / "a.json"), "--plot", str(tmp_path / "a.png"), "--prototypes", "10", "300"]
    monkeypatch.setattr(sys, "argv", ["scale", *words, "--rounds", "1"])
    scale.main()
    report = json.loads((tmp_path / "a.json").read_text())
    assert [found["prototypes"] for found in report["prototypes"]] == [10, 300]
    assert all(found["recall_at_1"] == 1 and found["probes"] == 0 for found in report["prototypes"])
    assert report["classes"].keys() == {"2", "4"}
    assert report["cameras"].keys() == {"1", "2"}
    assert report["sizes"].keys() == {"56x98", "84x98"}
    assert [(found["classes"], found["learn_ms"] > 0) for found in report["registrations"]] == [(2, True), (5, True)]
    assert "million_over_ten_thousand" not in report
    assert (tmp_path / "a.png").stat().st_size > 1000
