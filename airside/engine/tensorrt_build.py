"""ONNX -> TensorRT plan, on the machine it will run on. Written for TensorRT 10.16 and 11; the ``tensorrt-rtx`` wheels
have the same interface and build without a GPU.

Every function takes the library as ``trt``: it is optional, and three packages bring it under three names.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import re
from pathlib import Path
from typing import Any

from airside.engine.cache import write_cached
from airside.errors import MismatchError, StorageError, UnavailableError

LIBRARIES = ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings")
_FUSED = re.compile(r"mha|attention", re.IGNORECASE)  # _gemm_mha_v2, fmha_v2_..., AttentionFusion


def tensorrt_library(names: tuple[str, ...] = LIBRARIES) -> Any:
    """The first of ``names`` that is installed. Raises :class:`UnavailableError`, saying why for each."""
    reasons = []
    for name in names:
        try:
            return importlib.import_module(name)
        except Exception as error:  # a driver that does not match raises whatever it likes
            reasons.append(f"{name}: {error}")
    raise UnavailableError(
        f"TensorRT is not there ({'; '.join(reasons)}): on a Jetson it comes with JetPack 7.2 or later; "
        "elsewhere use another engine"
    )


def build_plan(trt: Any, network: bytes, timing_cache: Path | None = None) -> bytes:
    """Parse and build ``network``, strongly typed. ``timing_cache`` is read where it is there, and written: a second
    build then takes seconds.

    Raises :class:`MismatchError` with the parser's or the builder's own words.
    """
    log = _log(trt)
    builder = trt.Builder(log)
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)  # 11 knows no other kind
    definition = builder.create_network(0 if flag is None else 1 << int(flag))
    parser = trt.OnnxParser(definition, log)
    if not parser.parse(network):
        words = "; ".join(str(parser.get_error(k)) for k in range(parser.num_errors))
        raise MismatchError(f"TensorRT {trt.__version__} does not parse the graph: {words or log.said}")
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # without it no layer can be counted
    times = _with_timing_cache(config, timing_cache) if timing_cache is not None else None
    plan = builder.build_serialized_network(definition, config)
    if plan is None:
        raise MismatchError(f"TensorRT {trt.__version__} does not build the graph: {log.said}")
    if times is not None and timing_cache is not None:
        with contextlib.suppress(StorageError):  # only the next build takes longer
            write_cached(timing_cache, bytes(config.get_timing_cache().serialize()))
    return bytes(plan)


def fused_attention_layers(information: str) -> int:
    """How many layers of an engine inspector's JSON are fused attention, by layer name, type or tactic."""
    layers = json.loads(information).get("Layers", [])
    return sum(bool(_FUSED.search(_words(layer))) for layer in layers)


def require_fused_attention(trt: Any, engine: Any, attentions: int) -> int:
    """The number of fused attention layers. Raises :class:`MismatchError` at zero where the network has any."""
    found = fused_attention_layers(
        engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    )
    if attentions and not found:
        raise MismatchError(
            f"TensorRT {trt.__version__} fused none of {attentions} attentions: it would run several times slower; "
            "export the graph anew with this airside, or use the version of TensorRT that the README names"
        )
    return found


def _words(layer: Any) -> str:
    """What names a layer: a string without detail, a dictionary with."""
    if isinstance(layer, str):
        return layer
    return " ".join(str(layer.get(key, "")) for key in ("Name", "LayerType", "TacticName"))


def _with_timing_cache(config: Any, path: Path) -> Any:
    try:
        known = path.read_bytes()
    except OSError:
        known = b""
    times = config.create_timing_cache(known)
    return times if config.set_timing_cache(times, ignore_mismatch=False) else None


def _log(trt: Any) -> Any:
    class Log(trt.ILogger):  # type: ignore[misc]
        """Keeps the last complaint, to be said where something fails."""

        said = "no reason given"

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.said = " ".join(message.split())[:300]

    return Log()
