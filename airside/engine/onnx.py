"""The default engine: onnxruntime on the processor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from airside.engine.bundle import Bundle, open_bundle
from airside.engine.bundle_engine import BEV_INPUTS, BEV_OUTPUTS, BundleEngine, network_outputs, require_names
from airside.engine.pruned import pruned
from airside.engine.spread import SpreadNetwork, thread_count
from airside.errors import CorruptError

onnxruntime.disable_telemetry_events()  # a vehicle tells nobody but its planner


class OnnxNetwork:
    """One onnxruntime session of ``threads``; any number of threads may call it.

    Raises :class:`CorruptError` when onnxruntime refuses the network, or its inputs and outputs are not those named.
    """

    def __init__(self, network: bytes, path: Path, threads: int, takes: Sequence[str], gives: Sequence[str]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Idle threads leave the cores to the next stage: else two sessions and OpenCV wait for each other.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        try:
            self._session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own, undocumented types
            raise CorruptError(f"onnxruntime refuses {path}: {error}") from error
        require_names(path, "takes", [value.name for value in self._session.get_inputs()], takes)
        require_names(path, "gives", [value.name for value in self._session.get_outputs()], gives)

    def __call__(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        found: list[np.ndarray] = self._session.run(list(outputs), dict(inputs))
        return found


class OnnxEngine(BundleEngine):
    """Holds a session for single pictures, one for several, and one for the bird's-eye view; where there is depth, the
    first two also for tokens alone. ``network``: what runs instead of ``model.onnx``, and where it lies."""

    def __init__(self, bundle: Bundle, threads: int = 0, network: tuple[bytes, Path] | None = None) -> None:
        bev = None
        given, path = (bundle.network, bundle.path / "model.onnx") if network is None else network
        threads = thread_count(threads)

        def spread(network: bytes, gives: Sequence[str]) -> SpreadNetwork:
            def session(its_threads: int) -> OnnxNetwork:
                return OnnxNetwork(network, path, its_threads, ("images",), gives)

            alone = session(threads)
            return SpreadNetwork(alone, lambda: alone if threads == 1 else session(1), threads)

        model = spread(given, network_outputs(bundle.manifest))
        if bundle.bev_network is not None:
            # One thread: of two that add to the same cell, onnxruntime's ScatterND loses one addend now and then.
            bev = OnnxNetwork(bundle.bev_network, bundle.path / "bev.onnx", 1, BEV_INPUTS, BEV_OUTPUTS)
        super().__init__(bundle, model, bev, lambda: spread(pruned(given, ("tokens",)), ("tokens",)))


def load_engine(path: Path, threads: int = 0) -> OnnxEngine:
    """Open the bundle folder ``path`` and start the default engine on it, unverified: for whoever makes, measures or
    examines a bundle. What drives goes through :func:`airside.commands.engine_choice.ready_engine`."""
    return OnnxEngine(open_bundle(path), threads)
