"""What counts as the same detection, and what the engines' report says of it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from airside.messages import Kind, Region
from eval import engines
from eval.engines import Beside, aims, unmatched

ONE = Region(Kind.UNKNOWN, "tug", 0.4, 0.9, 5.0, (10.0, 10.0, 40.0, 30.0), np.zeros((3, 2), np.float32))
MOVED = replace(ONE, box_px=(10.0, 10.0, 41.0, 30.5))
AWAY = replace(ONE, box_px=(10.0, 10.0, 42.0, 30.0))
NAMED = replace(ONE, kind=Kind.KNOWN)


def test_regions_are_the_same_by_name_and_place() -> None:
    assert unmatched([ONE], [MOVED]) == []
    assert unmatched([ONE], [AWAY]) == [ONE]
    assert unmatched([ONE], [NAMED]) == [ONE]
    assert unmatched([NAMED], [replace(NAMED, nearest_class="dolly")]) == [NAMED]
    assert unmatched([ONE, ONE], [MOVED]) == [ONE]  # each has one of its own
    beside = Beside()
    beside.add([ONE, NAMED], [MOVED, NAMED])
    beside.add([ONE], [AWAY, NAMED])
    assert beside.as_json() == {"frames": 2, "frames_that_differ": 1, "regions": 3, "regions_that_differ": 3}


def test_rows_are_judged() -> None:
    seen = {"onnxruntime": {"ap": 0.78}, "openvino": {"regions_that_differ": 1}, "onnxruntime-int8": {"ap": 0.774}}
    told = {"parity": {"mini": {"openvino": {"tokens": 2e-3}, "other": "not installed"}}, "detections": seen}
    rows = {aim.name: (aim.got, aim.reached) for aim in aims(told)}
    assert rows == {
        "parity of float32 engines, worst relative difference from torch": (2e-3, False),
        "regions that differ, openvino": (1, False),
        "AP lost, onnxruntime-int8": (pytest.approx(0.006), False),
    }


def test_parity_of_a_small_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "SIZES", ((56, 84),))
    words = ["--json", str(tmp_path / "a.json"), "--networks", "airside-mini", "--frames", "0"]
    monkeypatch.setattr(sys, "argv", ["engines", *words])
    engines.main()
    report = json.loads((tmp_path / "a.json").read_text())
    found = report["parity"]["airside-mini 56x84"]["onnxruntime"]
    assert found.keys() == {"tokens", "depth", "bev", "depth_probability"}
    assert all(0 < value < 1e-3 for value in found.values())
    assert [aim["reached"] for aim in report["aims"]] == [True]
