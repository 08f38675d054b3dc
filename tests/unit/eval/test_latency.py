"""What the speed figures are made of: interleaved rounds, counted operations, ratios the right way up."""

from __future__ import annotations

import functools
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from airside.bank.store import BankStore
from airside.engine.bundle import Manifest, open_bundle
from airside.engine.onnx import load_engine
from airside.errors import UnavailableError, UsageError
from airside.export import write_bundle
from airside.model import random_backbone
from eval import latency, latency_peers
from eval.gemm_limit import convolution_share, products_of, run_products
from eval.latency import Measured, aims, ratios
from eval.latency_networks import torch_networks
from eval.latency_peers import AnomalyDino
from eval.latency_tick import TickCost, Ticker, ring
from eval.tensorrt_gate import Network, TokensAndDepth
from eval.timing import Timing, interleaved, summary
from tests.builders import taught_bank, tiny_bundle


def test_rounds_are_interleaved_and_the_warm_up_does_not_count() -> None:
    order: list[str] = []
    found = interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=3, warm_up=2)
    assert order == ["a", "b"] * 5
    assert {name: timing.rounds for name, timing in found.items()} == {"a": 3, "b": 3}


def test_a_network_that_no_engine_runs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "_engines", lambda network, settings: iter(()))
    with pytest.raises(UsageError, match=r"no engine runs vit_s .*delete that folder"):
        latency.measure("vit_s", 1, latency.Settings(1, 1, tmp_path, None, []))


def test_summary() -> None:
    timing = summary([3.0, 1.0, 2.0])
    assert (timing.best_ms, timing.median_ms) == (1.0, 2.0)
    assert timing.median_ms < timing.p99_ms <= 3.0


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, TokensAndDepth]:
    """A small transformer with a depth decoder, as ONNX and as torch."""
    out = tmp_path_factory.mktemp("deep") / "model"
    network = Network("vit_small_patch14_reg4_dinov2", 8, (8, 8, 8, 8), (0, 0, 1, 1))
    with pytest.MonkeyPatch.context() as patch:
        made = functools.partial(random_backbone, embed_dim=32, depth=2, num_heads=2)
        patch.setattr("eval.latency_networks.random_backbone", made)
        both, _ = torch_networks(network, (56, 98))
    manifest = Manifest(
        "deep", 56, 98, 14, 32, "last", ("tokens", "depth"), "native", "nothing", "none", "", "", depth_focal_px=49.0
    )
    write_bundle(both, out, manifest)
    return open_bundle(out).network, both


def test_operations_are_those_of_the_network(deep: tuple[bytes, TokensAndDepth]) -> None:
    network, both = deep
    products = products_of(network, 3)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        both(torch.zeros((3, 56, 98, 3), dtype=torch.uint8))
    attention = sum(p.flops for p in products if p.kind == "attention")  # torch does not count its fused one
    assert sum(p.flops for p in products) - attention == counter.get_total_flops()
    tokens, blocks = 4 * 7 + 5, 2
    assert attention == 2 * (2 * 3 * tokens * tokens * 32) * blocks
    assert {p.kind for p in products} == {"linear", "attention", "convolution"}
    assert sum(p.kind == "linear" for p in products) == 2 * 4
    measured = [p for p in products if p.kind != "convolution"]
    with FlopCounterMode(display=False) as counter:
        run_products(products, "float32")()
    assert counter.get_total_flops() == sum(p.flops for p in measured)
    assert convolution_share(products) == pytest.approx(1 - counter.get_total_flops() / sum(p.flops for p in products))
    run_products(products, "int8")()


def _timing(ms: float) -> Timing:
    return Timing(ms, ms, ms, 1)


def _measured(tick_ms: float, **others: float) -> Measured:
    ticks = {"onnxruntime": [TickCost(tick_ms, 0.8 * tick_ms, 0.05 * tick_ms, {"fit": 1.0})]}
    return Measured(ticks, {key.replace("_of_", " "): _timing(ms) for key, ms in others.items()})


def test_ratios_say_how_many_times_faster() -> None:
    whole = _measured(100.0, anomalydino=300.0, depth_anything=200.0, lift_splat=100.0, limit_of_float32=60.0)
    found = {"vit_b": {1: whole, 6: _measured(600.0, limit_of_float32=240.0)}, "vit_b_tokens": {1: _measured(75.0)}}
    told = ratios(found)
    assert told["vs_anomalydino_vitb"] == {"onnxruntime": 4.0}
    assert told["vs_anomalydino_with_all_branches"] == {"onnxruntime": 3.0}
    assert told["vs_assembled"] == {"onnxruntime": 6.0}
    assert told["of_gemm_limit"]["vit_b"] == {1: {"onnxruntime": 0.75}, 6: {"onnxruntime": 0.5}}
    rows = {aim.name: aim for aim in aims(found)}
    assert {name: (aim.got, aim.reached) for name, aim in rows.items()} == {
        "outside the network, vit_b, fastest engine, worst number of cameras": (pytest.approx(0.15), False),
        "vs_anomalydino_vitb, best precision": (4.0, True),
        "vs_anomalydino_vitb, float32": (4.0, True),
        "vs_assembled, best precision": (6.0, True),
        "vs_assembled, float32": (6.0, True),
        "of the GEMM limit, vit_b, best engine": (0.75, True),
        "Hz, vit_b_tokens, 1 cameras, onnxruntime": (pytest.approx(13.3, abs=0.1), True),
    }
    assert "vs_assembled" not in ratios({"airside-mini": {1: _measured(50.0)}})
    assert [aim.name for aim in aims({"airside-mini": {6: _measured(250.0)}})] == [
        "Hz, airside-mini, 6 cameras, onnxruntime"
    ]


def test_a_ticker_sees_every_camera_and_every_branch(tmp_path: Path) -> None:
    engine = load_engine(tiny_bundle(tmp_path / "model", depth=True, bev=True), 1)
    store = BankStore(tmp_path / "bank")
    store.create(taught_bank(engine), "test", "first")
    m = engine.manifest
    pictures = list(np.random.default_rng(0).integers(0, 256, (4, m.height_px, m.width_px, 3), np.uint8))
    ticker = Ticker(engine, store, pictures, 3)
    seen = [ticker._next() for _ in range(2)]
    assert [len(bundle.frames) for bundle in seen] == [3, 3]
    assert all(a.index < b.index and (a.image != b.image).any() for a, b in zip(*(s.frames for s in seen), strict=True))
    ticker()
    (cost,) = ticker.costs
    assert {"fit", "network", "bank_search", "regions", "bev"} <= cost.stages_ms.keys()
    assert 0 < cost.bev_ms < cost.total_ms
    assert 0 < cost.outside < 1
    assert [c.ego_from_cam.yaw_deg for c in ring(4, 56, 28).values()] == [0, 90, 180, 270]


FAKE = """
import sys
print('{"anomalib": "9"}', flush=True)
for number, _ in enumerate(sys.stdin):
    if number == 2:
        sys.exit("out of memory")
    print(number + 0.5, flush=True)
"""


def test_a_peer_runs_in_its_own_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fake.py").write_text(FAKE)
    monkeypatch.setattr(latency_peers, "PROGRAM", tmp_path / "fake.py")
    picture, bank = np.zeros((2, 2, 3), np.uint8), np.zeros((1, 2), np.float32)
    with AnomalyDino(Path(sys.executable), "vit", picture, bank, 1) as peer:
        assert (peer.versions, peer(), peer()) == ({"anomalib": "9"}, 0.5, 1.5)
        with pytest.raises(UnavailableError, match="ended, saying: out of memory"):
            peer()
    with pytest.raises(UnavailableError, match="does not start"):
        AnomalyDino(tmp_path / "no-python", "vit", picture, bank, 1)


def test_the_peer_program_says_what_it_lacks(tmp_path: Path) -> None:
    picture, bank = np.zeros((2, 2, 3), np.uint8), np.zeros((1, 2), np.float32)
    if importlib.util.find_spec("anomalib") is not None:
        pytest.skip("anomalib is installed here")
    with pytest.raises(UnavailableError, match="No module named 'anomalib'"):
        AnomalyDino(Path(sys.executable), "vit_small_patch14_dinov2", picture, bank, 1)


def test_the_report_on_the_embedded_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--json", str(tmp_path / "report.json"), "--networks", "airside-mini", "--cameras", "1", "--rounds", "1"]
    monkeypatch.setattr(sys, "argv", ["latency", *words, "--threads", "1", "--cache", str(tmp_path / "cache")])
    monkeypatch.setattr(latency, "ENGINES", {"onnxruntime": latency.ENGINES["onnxruntime"]})
    threads = torch.get_num_threads()
    latency.main()
    torch.set_num_threads(threads)
    report = json.loads((tmp_path / "report.json").read_text())
    assert {"hz", "share_outside_network", "ratio", "stages", "aims"} <= report.keys()
    assert report["hz"]["airside-mini"]["1"]["onnxruntime"] > 0
    assert 0 < report["share_outside_network"]["airside-mini"]["1"]["onnxruntime"] < 1
    assert {"fit", "network", "bank_search", "regions"} <= report["stages"]["airside-mini"]["1"].keys()
    assert report["ratio"]["of_gemm_limit"]["airside-mini"]["1"]["onnxruntime"] > 0
