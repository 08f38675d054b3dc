"""The TensorRT engine against a stand-in for the library: names, order of calls, and every refusal. No GPU needed."""

from __future__ import annotations

import enum
import importlib
import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from airside.engine import engines
from airside.engine.bundle import open_bundle
from airside.engine.cuda import CudaRuntime
from airside.engine.engines import ENGINES, load_named
from airside.engine.fused import Fused, open_fused, seal_fused
from airside.engine.parity import compare, load_outputs, save_outputs
from airside.engine.tensorrt import TensorRtEngine, plan_folder, plan_for
from airside.engine.tensorrt_build import build_plan, fused_attention_layers, tensorrt_library
from airside.errors import InputError, MismatchError, UnavailableError, UsageError
from tests.builders import tiny_bundle, tiny_view

LAYERS = {"Layers": [{"Name": "_gemm_mha_v2_myl0_5", "LayerType": "kgen"}, {"Name": "conv", "LayerType": "conv"}]}


class Severity(enum.IntEnum):
    ERROR = 1
    WARNING = 2


@dataclass
class FakeCuda:
    """Device memory is a dictionary; copies really copy."""

    memory: dict[int, np.ndarray] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    device: str = "Fake sm_87 driver 1"

    def stream(self) -> int:
        return 7

    def allocate(self, size_bytes: int) -> int:
        self.memory[len(self.memory) + 1] = np.zeros(size_bytes, np.uint8)
        return len(self.memory)

    def to_device(self, address: int, values: np.ndarray, stream: int) -> None:
        self.calls.append("to_device")
        self.memory[address][:] = np.frombuffer(values.tobytes(), np.uint8)

    def to_host(self, values: np.ndarray, address: int, stream: int) -> None:
        self.calls.append("to_host")
        values[...] = self.memory[address].view(values.dtype).reshape(values.shape)

    def wait(self, stream: int) -> None:
        self.calls.append("wait")


class FakeTrt:
    """As much of ``tensorrt`` as is asked. Running the network gives the stored outputs, where it sees their inputs."""

    __version__ = "10.16.1"
    LayerInformationFormat = SimpleNamespace(JSON=1)
    ProfilingVerbosity = SimpleNamespace(DETAILED=2)
    NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)

    class ILogger:
        Severity = Severity

        def __init__(self) -> None: ...

    class Logger:
        ERROR = 1

        def __init__(self, severity: int) -> None: ...

    def __init__(self, fused: Fused, cuda: FakeCuda, layers: dict = LAYERS) -> None:
        self.fused, self.cuda, self.layers = fused, cuda, layers
        self.parses, self.builds, self.runs, self.loads = True, True, True, True
        self.flags: list[int] = []
        self.known_times: list[bytes] = []

    def Runtime(self, _log: Any) -> Any:
        return SimpleNamespace(deserialize_cuda_engine=lambda plan: self._engine() if self.loads else None)

    def _engine(self) -> Any:
        addresses: dict[str, int] = {}

        def execute(stream: int) -> bool:
            assert stream == 7
            self.cuda.calls.append("execute")
            images = self.cuda.memory[addresses["images"]].reshape(self.fused.stored.images.shape)
            right = (images == self.fused.stored.images).all(axis=(1, 2, 3))
            for name, value in self.fused.stored.outputs.items():
                its_own = right[:, None, None, None] if name == "tokens" else right[:, None, None]
                seen = its_own if name in ("tokens", "depth") else right.all()
                given = np.where(seen, value, np.flip(value, axis=-1))
                self.cuda.memory[addresses[name]][:] = np.frombuffer(np.ascontiguousarray(given).tobytes(), np.uint8)
            return self.runs

        context = SimpleNamespace(set_tensor_address=addresses.__setitem__, execute_async_v3=execute)
        shapes = {"images": self.fused.stored.images.shape}
        shapes |= {name: value.shape for name, value in self.fused.stored.outputs.items()}
        inspector = SimpleNamespace(get_engine_information=lambda kind: json.dumps(self.layers))
        return SimpleNamespace(
            create_engine_inspector=lambda: inspector,
            create_execution_context=lambda: context,
            get_tensor_shape=shapes.__getitem__,
        )

    def Builder(self, log: Any) -> Any:
        def create(flags: int) -> object:
            self.flags.append(flags)
            return object()

        def times(known: bytes) -> Any:
            self.known_times.append(known)
            return SimpleNamespace(serialize=lambda: b"times")

        def build(_definition: object, _config: object) -> bytes | None:
            if not self.builds:
                log.log(Severity.ERROR, "no tactic\n for conv")
            return b"plan" if self.builds else None

        config = SimpleNamespace(
            create_timing_cache=times,
            set_timing_cache=lambda cache, ignore_mismatch: True,
            get_timing_cache=lambda: SimpleNamespace(serialize=lambda: b"times"),
        )
        return SimpleNamespace(
            create_network=create, create_builder_config=lambda: config, build_serialized_network=build
        )

    def OnnxParser(self, _definition: object, _log: Any) -> Any:
        return SimpleNamespace(
            parse=lambda network: self.parses, num_errors=1, get_error=lambda k: "ScatterND reduces: not supported"
        )


@dataclass
class Vehicle:
    model: Path
    fused: Fused
    trt: FakeTrt
    cuda: FakeCuda

    def engine(self) -> TensorRtEngine:
        return TensorRtEngine(open_bundle(self.model), self.fused, b"plan", self.trt, self.cuda)


@pytest.fixture
def vehicle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vehicle:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = tiny_bundle(tmp_path / "model", depth=True, bev=True)
    bundle = open_bundle(model)
    (model / "fused").mkdir()
    (model / "fused" / "fused.onnx").write_bytes(b"a graph")
    save_outputs(model / "fused" / "parity.npz", load_outputs(model / "parity.npz", bundle.manifest))
    seal_fused(model / "fused", bundle.manifest.fingerprint, 6)
    fused, cuda = open_fused(bundle), FakeCuda()
    return Vehicle(model, fused, FakeTrt(fused, cuda), cuda)


def test_one_pass_gives_everything(vehicle: Vehicle) -> None:
    engine, stored = vehicle.engine(), vehicle.fused.stored
    assert all(c.absolute == 0 for c in compare(engine, stored))
    one_pass = ["to_device", "execute", *["to_host"] * 4, "wait"]
    assert vehicle.cuda.calls == one_pass * 3  # tokens alone, the first picture alone, all
    assert engine.fused_attentions == 1
    assert np.array_equal(engine.tokens(stored.images), stored.outputs["tokens"])


def test_other_pictures_fail_the_gate(vehicle: Vehicle) -> None:
    stored = vehicle.fused.stored
    tokens = vehicle.engine().outputs(255 - stored.images).tokens
    assert np.abs(tokens - stored.outputs["tokens"]).max() > 0.01


def test_fewer_pictures_are_filled_up(vehicle: Vehicle) -> None:
    engine, images = vehicle.engine(), vehicle.fused.stored.images
    found = engine.outputs(images[:1])
    assert len(found.tokens) == 1
    assert found.depth is not None
    assert len(found.depth) == 1
    with pytest.raises(UsageError, match="takes 2 pictures a pass"):
        engine.outputs(np.concatenate([images, images]))
    with pytest.raises(InputError, match="wanted pictures"):
        engine.outputs(images[:, :10])


def test_the_view_from_above_belongs_to_its_pass_and_rig(vehicle: Vehicle) -> None:
    engine, stored = vehicle.engine(), vehicle.fused.stored
    assert stored.view is not None
    with pytest.raises(MismatchError, match="comes with its pass"):
        engine.bev(stored.outputs["tokens"], stored.view)
    tokens = engine.tokens(stored.images)
    assert np.array_equal(engine.bev(tokens, stored.view).layers, stored.outputs["bev"])
    with pytest.raises(MismatchError, match="comes with its pass"):
        engine.bev(-tokens, stored.view)
    with pytest.raises(MismatchError, match="made for another rig"):
        engine.bev(tokens[:1], tiny_view(1))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"loads": False}, UnavailableError, "another version built it"),
        ({"layers": {"Layers": [{"Name": "matmul"}, "softmax"]}}, MismatchError, "fused none of 6 attentions"),
        ({"layers": {}}, MismatchError, "fused none"),
    ],
)
def test_plans_that_do_not_run(vehicle: Vehicle, changes: dict[str, Any], error: type[Exception], words: str) -> None:
    for name, value in changes.items():
        setattr(vehicle.trt, name, value)
    with pytest.raises(error, match=words):
        vehicle.engine()


def test_a_device_that_fails_says_so(vehicle: Vehicle) -> None:
    engine = vehicle.engine()
    vehicle.trt.runs = False
    with pytest.raises(UnavailableError, match="did not run the network"):
        engine.tokens(vehicle.fused.stored.images)


def test_a_plan_is_built_once_for_a_device_and_version(vehicle: Vehicle) -> None:
    trt = vehicle.trt
    assert plan_for(vehicle.fused, trt, "orin") == b"plan"
    assert trt.flags == [1 << 1]
    assert plan_for(vehicle.fused, trt, "orin") == b"plan"
    assert len(trt.flags) == 1
    plan_for(replace(vehicle.fused, network=b"another"), trt, "orin")
    assert trt.known_times == [b"", b"times"]  # the second build knows the first one's times
    plan_for(vehicle.fused, trt, "thor")
    assert trt.known_times[-1] == b""
    assert len(list(plan_folder().glob("*.plan"))) == 3


def test_version_11_has_no_flag(vehicle: Vehicle) -> None:
    vehicle.trt.NetworkDefinitionCreationFlag = SimpleNamespace()  # type: ignore[misc]
    build_plan(vehicle.trt, b"")
    assert vehicle.trt.flags == [0]


def test_what_the_library_refuses_is_told_in_its_words(vehicle: Vehicle) -> None:
    vehicle.trt.builds = False
    with pytest.raises(MismatchError, match="does not build the graph: no tactic for conv"):
        build_plan(vehicle.trt, b"")
    vehicle.trt.parses = False
    with pytest.raises(MismatchError, match="does not parse the graph: ScatterND reduces"):
        build_plan(vehicle.trt, b"")


@pytest.mark.parametrize(
    ("layers", "count"),
    [
        ([{"Name": "a", "TacticName": "_gemm_mha_v2_0x1"}, {"Name": "b", "TacticName": "sm80_gemm"}], 1),
        (["_gemm_mha_v2_myl0_1", "__myl_MeanSub"], 1),
        ([{"Name": "fmha_v2_flash", "LayerType": "Attention"}], 1),
        ([], 0),
    ],
)
def test_fused_attention_is_counted(layers: list, count: int) -> None:
    assert fused_attention_layers(json.dumps({"Layers": layers})) == count


def test_it_loads_by_name_and_is_held_against_its_own_outputs(
    vehicle: Vehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "tensorrt", replace(ENGINES["tensorrt"], needs=None))
    monkeypatch.setattr(engines, "tensorrt_library", lambda: vehicle.trt)
    monkeypatch.setattr(engines, "CudaRuntime", lambda: vehicle.cuda)
    loaded = load_named("tensorrt", open_bundle(vehicle.model))
    assert loaded.stored is not None
    assert np.array_equal(loaded.stored.images, vehicle.fused.stored.images)
    assert loaded.identity.device == "Fake sm_87 driver 1"
    assert loaded.identity.libraries == {"tensorrt": "10.16.1"}


def test_without_the_library() -> None:
    with pytest.raises(UnavailableError, match=r"no_such_library: .*JetPack"):
        tensorrt_library(("no_such_library",))


class FakeRuntime:
    """``cuda.bindings.runtime`` with one device, or a failing one."""

    def __init__(self, error: int = 0) -> None:
        self.error = error
        self.cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
        self.copies: list[tuple[Any, ...]] = []

    def cudaGetDeviceProperties(self, _device: int) -> tuple[int, Any]:
        return self.error, SimpleNamespace(name=b"Orin\0\0", major=8, minor=7)

    def cudaDriverGetVersion(self) -> tuple[int, int]:
        return 0, 13000

    def cudaStreamCreate(self) -> tuple[int, int]:
        return 0, 3

    def cudaMalloc(self, size: int) -> tuple[int, int]:
        return (0, 4096) if size < 1000 else (2, 0)

    def cudaMemcpyAsync(self, *arguments: Any) -> tuple[int]:
        self.copies.append(arguments)
        return (0,)

    def cudaStreamSynchronize(self, _stream: int) -> tuple[int]:
        return (0,)


def test_cuda_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeRuntime()
    monkeypatch.setattr(importlib, "import_module", lambda name: fake)
    cuda = CudaRuntime()
    assert cuda.device == "Orin sm_87 driver 13000"
    assert (cuda.stream(), cuda.allocate(10)) == (3, 4096)
    values = np.zeros(4, np.float32)
    cuda.to_device(4096, values, 3)
    cuda.to_host(values, 4096, 3)
    cuda.wait(3)
    assert fake.copies == [(4096, values.ctypes.data, 16, 1, 3), (values.ctypes.data, 4096, 16, 2, 3)]
    with pytest.raises(UnavailableError, match=r"cudaMalloc failed \(2\)"):
        cuda.allocate(5000)
    monkeypatch.setattr(importlib, "import_module", lambda name: FakeRuntime(error=100))
    with pytest.raises(UnavailableError, match="cudaGetDeviceProperties failed"):
        CudaRuntime()


def test_without_cuda_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    with pytest.raises(UnavailableError, match="pip install cuda-python"):
        CudaRuntime()
