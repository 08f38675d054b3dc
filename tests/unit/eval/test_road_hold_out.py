from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.road.__main__ import main
from tests.builders import tiny_bundle
from tests.labelled_data import tiny_camvid


def hold_out(tmp_path: Path, *more: str) -> int:
    root, model = tiny_camvid(tmp_path / "camvid", train=6), tiny_bundle(tmp_path / "model")
    arguments = ["--dataset", "camvid", "--root", str(root), "--model", str(model), "--out", str(tmp_path / "out")]
    return main(["hold-out", *arguments, *more])


def test_the_class_left_out_is_unknown(tmp_path: Path) -> None:
    assert hold_out(tmp_path, "--classes", "car,pedestrian", "--methods", "prowl,k-means") == 0
    report = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert list(report["held_out"]) == ["car", "pedestrian"]
    for name in report["held_out"]:
        assert report["held_out"][name]["k-means"]["ap"] > 0.3  # five times chance
        assert (tmp_path / "out" / name / "report.html").is_file()
    mean = sum(report["held_out"][n]["prowl"]["ap"] for n in report["held_out"]) / 2
    assert report["mean"]["prowl"]["ap"] == pytest.approx(mean)


@pytest.mark.parametrize(
    ("classes", "code", "said"), [("bus", 2, "bicyclist"), ("bicyclist", 3, "no test picture of CamVid shows")]
)
def test_classes_that_are_not_there(
    classes: str, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hold_out(tmp_path, "--classes", classes) == code
    assert said in capsys.readouterr().err
