"""OpenVINO on the processor: float32 exactly as asked (left alone it may choose less), or bfloat16 where it is fast."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from airside.engine.bundle import Bundle
from airside.engine.bundle_engine import BEV_INPUTS, BEV_OUTPUTS, BundleEngine, network_outputs, require_names
from airside.engine.optional import optional_library
from airside.engine.parts import pruned
from airside.engine.spread import SpreadNetwork, thread_count
from airside.errors import CorruptError, UnavailableError

_ABILITY_FROM_HINT = {"f32": "FP32", "bf16": "BF16"}


class OpenVinoNetwork:
    """One compiled model. ``precision``: OpenVINO's name, ``f32`` or ``bf16``. ``at_once`` threads may call it, and
    share its ``threads``. ``shape``: of its first input, where it is always the same.

    Raises :class:`CorruptError` when OpenVINO refuses the network, or its inputs and outputs are not those named.
    """

    def __init__(
        self,
        core: Any,
        network: bytes,
        path: Path,
        *,
        precision: str,
        threads: int,
        takes: Sequence[str],
        gives: Sequence[str],
        at_once: int = 1,
        shape: Sequence[int] | None = None,
    ) -> None:
        options = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": at_once,
            "ENABLE_CPU_PINNING": False,  # it takes the first cores, whoever else is on them
        }
        try:
            model = core.read_model(network)
            if shape is not None:
                model.reshape({model.inputs[0]: list(shape)})  # a fixed shape fuses more
            self._model = core.compile_model(model, "CPU", options)
        except Exception as error:  # OpenVINO raises RuntimeError, and what its plug-ins please
            first = " ".join(str(error).split())[:300]
            raise CorruptError(f"OpenVINO refuses {path}: {first}") from error
        require_names(path, "takes", [value.get_any_name() for value in self._model.inputs], takes)
        require_names(path, "gives", [value.get_any_name() for value in self._model.outputs], gives)
        self._of_thread = threading.local()

    def __call__(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        if not hasattr(self._of_thread, "request"):
            self._of_thread.request = self._model.create_infer_request()
        found = self._of_thread.request.infer(dict(inputs))  # copies: the next pass does not write into them
        return [np.asarray(found[name]) for name in outputs]


class OpenVinoEngine(BundleEngine):
    """Both networks of a bundle. The bird's-eye view always runs in float32: in bfloat16 its sums over many points
    moved a probability by 0.11, and it is a small part of the time.

    Raises :class:`UnavailableError` where OpenVINO does not load, or this processor does not have ``precision``.
    """

    def __init__(self, bundle: Bundle, precision: str, threads: int = 0) -> None:
        core = optional_library("openvino", "airside[openvino]").Core()
        if _ABILITY_FROM_HINT[precision] not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise UnavailableError(f"this processor has no {precision} for OpenVINO; use --engine openvino")
        bev, m, threads = None, bundle.manifest, thread_count(threads)

        def spread(network: bytes, gives: Sequence[str]) -> SpreadNetwork:
            def compiled(at_once: int) -> OpenVinoNetwork:
                return OpenVinoNetwork(
                    core,
                    network,
                    bundle.path / "model.onnx",
                    precision=precision,
                    threads=threads,
                    takes=("images",),
                    gives=gives,
                    at_once=at_once,
                    shape=(1, m.height_px, m.width_px, 3),
                )

            alone = compiled(1)
            return SpreadNetwork(alone, lambda: alone if threads == 1 else compiled(threads), threads)

        model = spread(bundle.network, network_outputs(m))
        # OpenVINO's binding sets itself up in the first call of a process. Two threads that make it together can wait
        # for each other for ever, one with Python's lock and one with the binding's: so it is made here.
        model({"images": np.zeros((1, m.height_px, m.width_px, 3), np.uint8)}, network_outputs(m))
        if bundle.bev_network is not None:
            bev = OpenVinoNetwork(
                core,
                bundle.bev_network,
                bundle.path / "bev.onnx",
                precision="f32",
                threads=threads,
                takes=BEV_INPUTS,
                gives=BEV_OUTPUTS,
            )
        super().__init__(bundle, model, bev, lambda: spread(pruned(bundle.network, ("tokens",)), ("tokens",)))
