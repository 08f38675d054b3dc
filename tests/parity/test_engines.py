"""torch, onnxruntime and OpenVINO give the same tokens, depth and bird's-eye view; quantised Linears stay close."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from airside.assets import embedded_model
from airside.engine.bundle import open_bundle
from airside.engine.cache import cache_folder
from airside.engine.engine import Engine
from airside.engine.engines import ENGINES, load_named
from airside.engine.machine import processor_abilities
from airside.engine.quantised import quantised_network
from airside.errors import CorruptError, UnavailableError
from airside.geometry.bev_view import BevView, bev_view
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.splat_table import NetworkRig
from airside.geometry.transforms import ego_from_mounted_cam
from tests.builders import tiny_bundle, tiny_view
from training.export_mini import Exported, export
from training.network import Mini, MiniConfig

RELATIVE = 1e-3
FLOAT32 = [name for name, kind in ENGINES.items() if kind.precision == "float32"]
SIZES = [(224, 392), (280, 504)]
Outputs = dict[str, np.ndarray]


def run(engine: Engine, images: np.ndarray, view: BevView) -> Outputs:
    found = engine.outputs(images)
    assert found.depth is not None
    maps = engine.bev(found.tokens, view)
    return {
        "tokens": found.tokens,
        "depth": found.depth,
        "bev": maps.layers,
        "depth_probability": maps.depth_probability,
    }


def relative(came: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference over the largest value."""
    assert came.shape == wanted.shape
    return float(np.abs(came - wanted).max() / np.abs(wanted).max())


def noise(count: int, height: int, width: int) -> np.ndarray:
    """Blocks of colour: pure noise makes every patch alike."""
    coarse = np.random.default_rng(count).integers(0, 256, (count, height // 28, width // 28, 3), np.uint8)
    return coarse.repeat(28, axis=1).repeat(28, axis=2)


def loaded(name: str, model: Path) -> Engine:
    if ENGINES[name].missing is not None:
        pytest.skip(f"{name} is not installed: {ENGINES[name].missing}")
    try:
        return load_named(name, open_bundle(model), 1).engine
    except UnavailableError as error:
        pytest.skip(str(error))


@dataclass(frozen=True)
class Made:
    """A mini with random weights, its bundle, and what torch gives for ``images``."""

    model: Path
    images: np.ndarray
    view: BevView
    wanted: Outputs


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def mini(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    height, width = request.param
    torch.manual_seed(height)
    network = Mini(MiniConfig(height_px=height, width_px=width)).eval()
    with torch.no_grad():
        for name, value in network.named_parameters():
            if "detail" in name or "gamma" in name:  # start at zero, or at one: then nobody could mix them up
                value.copy_(torch.rand_like(value) * 0.2)
    model = tmp_path_factory.mktemp("mini") / "model"
    export(network, model)
    camera = PinholeCamera(width / 2, width / 2, width / 2 - 0.5, height / 2 - 0.5, width, height)
    poses = [ego_from_mounted_cam((1.0, 0.0, 2.0), yaw_deg=yaw, pitch_deg=6, roll_deg=0) for yaw in (0.0, 120.0)]
    rig = NetworkRig([camera] * 2, poses, 14)
    head = network.bev.with_rig(rig)
    images = noise(2, height, width)
    with torch.no_grad():
        tokens, depth = Exported(network)(torch.from_numpy(images))
        layers, probability = head(tokens[None])
    wanted = {
        "tokens": tokens.numpy(),
        "depth": depth.numpy(),
        "bev": layers[0].sigmoid().numpy(),
        "depth_probability": _present(probability)[0].numpy(),
    }
    return Made(model, images, bev_view(rig, head.grid, head.bins, head.height_range_m), wanted)


def _present(value: Tensor | None) -> Tensor:
    assert value is not None
    return value


def test_openvino_is_called_once_before_threads_may_call_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads in its binding's first call of a process can wait for each other for ever (eval/LOG.md)."""
    pytest.importorskip("openvino")
    from airside.engine.openvino import OpenVinoNetwork

    callers, call = [], OpenVinoNetwork.__call__

    def noted(network: OpenVinoNetwork, inputs: Any, outputs: Any) -> list[np.ndarray]:
        callers.append(threading.current_thread())
        return call(network, inputs, outputs)

    monkeypatch.setattr(OpenVinoNetwork, "__call__", noted)
    load_named("openvino", open_bundle(tiny_bundle(tmp_path / "model", depth=True)), 2)
    assert callers == [threading.current_thread()]


@pytest.mark.parametrize("name", FLOAT32)
def test_float32_repeats_torch(mini: Made, name: str) -> None:
    engine = loaded(name, mini.model)
    came = run(engine, mini.images, mini.view)
    assert {key: relative(came[key], wanted) < RELATIVE for key, wanted in mini.wanted.items()} == dict.fromkeys(
        mini.wanted, True
    )
    other = run(engine, mini.images[:, :, ::-1].copy(), mini.view)
    assert all(relative(other[key], wanted) > 0.01 for key, wanted in mini.wanted.items())


@pytest.mark.parametrize("name", ["onnxruntime-int8", "openvino-bf16"])
def test_reduced_precision_stays_close(mini: Made, name: str) -> None:
    """Of random weights; trained ones are far less sensitive (cosine 0.999 and 0.99996, held to 0.995 by the gate)."""
    came = run(loaded(name, mini.model), mini.images, mini.view)
    alike = (came["tokens"] * mini.wanted["tokens"]).sum(axis=-1) / np.linalg.norm(came["tokens"], axis=-1)
    assert 0.98 < alike.min() < 1 - 1e-7  # it really is another precision
    assert relative(came["depth"], mini.wanted["depth"]) < 0.1


@pytest.mark.parametrize("name", [n for n in FLOAT32 if n != "onnxruntime"])
def test_float32_engines_agree_on_a_tiny_bundle(tmp_path: Path, name: str) -> None:
    model = tiny_bundle(tmp_path / "model", depth=True, bev=True)
    images, view = noise(3, 56, 98)[:, :56, :98], tiny_view(3)
    images = np.ascontiguousarray(np.pad(images, ((0, 0), (0, 0), (0, 98 - images.shape[2]), (0, 0))))
    wanted = run(loaded("onnxruntime", model), images, view)
    came = run(loaded(name, model), images, view)
    assert all(relative(came[key], wanted[key]) < RELATIVE for key in wanted)
    tokens_alone = loaded(name, model).tokens(images)
    assert np.array_equal(tokens_alone, came["tokens"])


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="there is one core for everybody")
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system tells no affinities")
def test_openvino_leaves_its_threads_where_the_system_puts_them() -> None:
    """Pinned, the one thread of every process would share the first core, whatever else idles."""
    engine, caller = loaded("openvino", embedded_model()), threading.get_native_id()
    image, over = np.zeros((1, 224, 392, 3), np.uint8), threading.Event()
    allowed = os.sched_getaffinity(caller)
    seen: set[frozenset[int]] = set()

    def look() -> None:
        while not over.is_set():
            seen.add(frozenset(os.sched_getaffinity(caller)))

    watching = threading.Thread(target=look)
    watching.start()
    try:
        for _ in range(5):
            engine.tokens(image)
    finally:
        over.set()
        watching.join()
    assert seen == {frozenset(allowed)}


@pytest.mark.parametrize("name", [n for n in ENGINES if n.startswith("openvino")])
def test_openvino_says_what_it_refuses(tmp_path: Path, name: str) -> None:
    bundle = open_bundle(tiny_bundle(tmp_path / "model"))
    loaded(name, bundle.path)
    with pytest.raises(CorruptError, match=r"OpenVINO refuses .*model\.onnx"):
        load_named(name, replace(bundle, network=b"not a network"), 1)


def test_the_quantised_network_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mini: Made) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bundle = open_bundle(mini.model)
    network, path = quantised_network(bundle)
    assert path.is_relative_to(cache_folder())
    assert len(network) < 0.6 * len(bundle.network)
    made = path.stat().st_mtime_ns
    assert quantised_network(bundle) == (network, path)
    assert path.stat().st_mtime_ns == made
    path.write_bytes(network[: len(network) // 2])
    with pytest.raises(CorruptError, match=r"onnxruntime refuses .*int8"):
        load_named("onnxruntime-int8", bundle, 1)


def test_a_library_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = open_bundle(tiny_bundle(tmp_path / "model"))
    monkeypatch.setitem(
        ENGINES, "openvino", replace(ENGINES["openvino"], needs=("no_such_module", "airside[openvino]"))
    )
    with pytest.raises(UnavailableError, match=r"pip install 'airside\[openvino\]'.*--engine onnxruntime"):
        load_named("openvino", bundle)


def test_bfloat16_is_refused_where_the_processor_lacks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = pytest.importorskip("openvino")
    monkeypatch.setattr(openvino.Core, "get_property", lambda *_: ["FP32"])
    with pytest.raises(UnavailableError, match="no bf16 for OpenVINO; use --engine openvino"):
        load_named("openvino-bf16", open_bundle(tiny_bundle(tmp_path / "model")))


def test_the_processor_is_named() -> None:
    from airside.engine.machine import processor

    assert processor() == processor()
    assert isinstance(processor_abilities(), frozenset)
