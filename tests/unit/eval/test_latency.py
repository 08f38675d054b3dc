"""What the speed figures are made of: interleaved rounds, counted operations, ratios the right way up."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from eval import latency
from eval.gemm_limit import Shape, products
from eval.timing import interleaved, summary


def test_rounds_are_interleaved_and_the_warm_up_does_not_count() -> None:
    order: list[str] = []
    found = interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=3, warm_up=2)
    assert order == ["a", "b"] * 5
    assert {name: timing.rounds for name, timing in found.items()} == {"a": 3, "b": 3}


def test_summary() -> None:
    timing = summary([3.0, 1.0, 2.0])
    assert (timing.best_ms, timing.median_ms) == (1.0, 2.0)
    assert timing.median_ms < timing.p99_ms <= 3.0


def test_operations_are_those_of_the_products() -> None:
    shape = Shape(tokens=5, width=8, heads=2, depth=3)
    with FlopCounterMode(display=False) as counter:
        products(shape, 2, torch.float32)()
    assert counter.get_total_flops() == shape.flops(2)


def _found(**ms: float) -> dict:
    passes = {name: {"median_ms": value} for name, value in ms.items()}
    return {"pass_ms": {1: passes}, "hz": {1: {"onnxruntime": 10.0}}, "of_gemm_limit": {1: {"onnxruntime": 0.7}}}


def test_ratios_say_how_many_times_faster() -> None:
    told = latency.ratios({"vit_b": _found(anomalydino=300.0, assembled=600.0)}, [1, 6])
    assert told["vs_anomalydino_vitb"] == {"onnxruntime": 3.0}
    assert told["vs_assembled"] == {"onnxruntime": 6.0}
    assert told["of_gemm_limit"] == {"vit_b": {"onnxruntime": 0.7}}
    assert "vs_assembled" not in latency.ratios({"airside-mini": _found()}, [1])


def test_the_report_on_the_embedded_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--json", str(tmp_path / "report.json"), "--networks", "airside-mini", "--cameras", "1", "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", ["latency", *words, "--threads", "1", "--cache", str(tmp_path / "cache")])
    monkeypatch.setattr(latency, "ENGINES", {"onnxruntime": latency.ENGINES["onnxruntime"]})
    threads = torch.get_num_threads()
    latency.main()
    torch.set_num_threads(threads)
    report = json.loads((tmp_path / "report.json").read_text())
    assert {"hz", "share_outside_network", "ratio", "stages"} <= report.keys()
    assert report["hz"]["airside-mini"]["1"]["onnxruntime"] > 0
    assert 0 < report["share_outside_network"]["airside-mini"]["1"]["onnxruntime"] < 1
    assert {"fit", "network", "bank_search", "regions"} <= report["stages"]["airside-mini"].keys()
