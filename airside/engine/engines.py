"""The engines one can choose, and what each needs: a table."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from airside.engine.bundle import Bundle
from airside.engine.cuda import CudaRuntime
from airside.engine.engine import Engine
from airside.engine.fused import open_fused
from airside.engine.machine import processor, versions
from airside.engine.onnx import OnnxEngine
from airside.engine.openvino import OpenVinoEngine
from airside.engine.parity import StoredOutputs
from airside.engine.quantised import quantised_network
from airside.engine.tensorrt import TensorRtEngine, plan_for
from airside.engine.tensorrt_build import tensorrt_library
from airside.errors import UnavailableError, UsageError

Precision = Literal["float32", "bfloat16", "int8", "float16"]
DEFAULT_ENGINE = "onnxruntime"


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything an engine's results depend on, besides its inputs. ``network_sha256``: of what really runs."""

    fingerprint: str
    engine: str
    precision: Precision
    device: str
    libraries: Mapping[str, str]
    network_sha256: str


@dataclass(frozen=True, slots=True)
class LoadedEngine:
    """An engine and what it is."""

    engine: Engine
    identity: Identity
    stored: StoredOutputs | None = None  # what it is held against, where that is not the bundle's own parity.npz


@dataclass(frozen=True, slots=True)
class EngineKind:
    """``needs``: (module, what to install) of an optional library. ``at_start``: its check is quick and a mismatch can
    only be a fault, so that ``airside run`` may make it; any other engine is verified by command."""

    what: str
    precision: Precision
    needs: tuple[str, str] | None
    at_start: bool
    load: Callable[[str, Bundle, int], LoadedEngine]

    @property
    def missing(self) -> str | None:
        """What to run where the library is not there; ``None`` where it is."""
        if self.needs is None or importlib.util.find_spec(self.needs[0]) is not None:
            return None
        return f"run: pip install '{self.needs[1]}'"


def load_named(name: str, bundle: Bundle, threads: int = 0) -> LoadedEngine:
    """Start engine ``name`` on ``bundle``; ``threads`` 0 leaves their number to the library.

    Raises :class:`UsageError` for an unknown name, :class:`UnavailableError` where its library or the processor's
    support is missing.
    """
    kind = engine_kind(name)
    if kind.missing is not None:
        raise UnavailableError(f"engine {name} is not installed; {kind.missing}, or use --engine {DEFAULT_ENGINE}")
    return kind.load(name, bundle, threads)


def engine_kind(name: str) -> EngineKind:
    if name not in ENGINES:
        raise UsageError(f"no engine {name!r}; wanted one of: {', '.join(ENGINES)}")
    return ENGINES[name]


def identity(name: str, bundle: Bundle, network: bytes, *packages: str) -> Identity:
    """Of engine ``name`` on this machine's processor."""
    digest = hashlib.sha256(network + (bundle.bev_network or b"")).hexdigest()
    return Identity(
        bundle.manifest.fingerprint, name, ENGINES[name].precision, processor(), versions(*packages), digest
    )


def _onnxruntime(name: str, bundle: Bundle, threads: int) -> LoadedEngine:
    return LoadedEngine(OnnxEngine(bundle, threads), identity(name, bundle, bundle.network, "onnxruntime"))


def _onnxruntime_int8(name: str, bundle: Bundle, threads: int) -> LoadedEngine:
    network = quantised_network(bundle)
    engine = OnnxEngine(bundle, threads, network)
    return LoadedEngine(engine, identity(name, bundle, network[0], "onnxruntime"))


def _openvino(name: str, bundle: Bundle, threads: int) -> LoadedEngine:
    hint = {"float32": "f32", "bfloat16": "bf16"}[ENGINES[name].precision]
    return LoadedEngine(OpenVinoEngine(bundle, hint, threads), identity(name, bundle, bundle.network, "openvino"))


def _tensorrt(name: str, bundle: Bundle, _threads: int) -> LoadedEngine:
    fused, trt, cuda = open_fused(bundle), tensorrt_library(), CudaRuntime()
    plan = plan_for(fused, trt, cuda.device)
    digest = hashlib.sha256(fused.network + plan).hexdigest()
    who = Identity(
        bundle.manifest.fingerprint, name, ENGINES[name].precision, cuda.device, {"tensorrt": trt.__version__}, digest
    )
    return LoadedEngine(TensorRtEngine(bundle, fused, plan, trt, cuda), who, fused.stored)


_ONNX, _OPENVINO = ("onnx", "airside[int8]"), ("openvino", "airside[openvino]")
ENGINES: dict[str, EngineKind] = {
    DEFAULT_ENGINE: EngineKind("the default, on the processor", "float32", None, True, _onnxruntime),
    "onnxruntime-int8": EngineKind("Linears in int8, on the processor", "int8", _ONNX, False, _onnxruntime_int8),
    "openvino": EngineKind("OpenVINO, on the processor", "float32", _OPENVINO, False, _openvino),
    "openvino-bf16": EngineKind("OpenVINO, where the processor has bf16", "bfloat16", _OPENVINO, False, _openvino),
    "tensorrt": EngineKind("TensorRT, on a vehicle's GPU", "float16", ("tensorrt", "tensorrt"), False, _tensorrt),
}
