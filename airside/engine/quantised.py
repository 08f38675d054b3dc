"""A bundle's network with its Linears in int8, made once and kept in the cache.

Weights are quantised per output channel; activations while running, one scale a pass, and every picture has its own
(:mod:`airside.engine.spread`). Convolutions, norms, attention and the bird's-eye view stay in float32.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from airside.engine.bundle import Bundle
from airside.engine.cache import cache_folder, write_cached
from airside.engine.machine import processor_abilities, versions
from airside.engine.optional import optional_library
from airside.errors import CorruptError

LINEARS = ("MatMul", "Gemm")
_EXACT_INT8 = frozenset({"avx512_vnni", "avx_vnni", "asimddp", "i8mm"})  # other processors saturate 16-bit sums


def quantised_network(bundle: Bundle) -> tuple[bytes, Path]:
    """The quantised ``model.onnx`` and where it lies. Raises :class:`airside.errors.StorageError` where it cannot be
    kept, :class:`CorruptError` where onnxruntime cannot quantise it, :class:`UnavailableError` without onnx."""
    reduced = not processor_abilities() & _EXACT_INT8
    made_by = "-".join(f"{name}{version}" for name, version in versions("onnxruntime", "onnx").items())
    kind = f"{'reduced-' if reduced else ''}{made_by}"
    path = cache_folder() / "int8" / f"{bundle.manifest.fingerprint[:24]}-{kind}.onnx"
    try:
        return path.read_bytes(), path
    except OSError:  # not made yet
        network = _quantise(bundle, reduce_range=reduced)
        write_cached(path, network)
        return network, path


def _quantise(bundle: Bundle, *, reduce_range: bool) -> bytes:
    onnx = optional_library("onnx", "airside[int8]")
    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it recommends a preparation that the dynamo exporter has done
    try:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "int8.onnx"
            quantize_dynamic(
                onnx.load_from_string(bundle.network),
                out,
                op_types_to_quantize=list(LINEARS),
                per_channel=True,
                reduce_range=reduce_range,
                weight_type=QuantType.QInt8,
            )
            return out.read_bytes()
    except Exception as error:  # onnx and onnxruntime raise what they please
        raise CorruptError(f"{bundle.path / 'model.onnx'} cannot be quantised: {error}; use another engine") from error
    finally:
        root.setLevel(level)
