"""The default engine: onnxruntime on the processor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from airside.engine.bundle import Bundle, open_bundle
from airside.engine.bundle_engine import (
    BEV_INPUTS,
    BEV_OUTPUTS,
    BundleEngine,
    Network,
    network_outputs,
    require_names,
)
from airside.engine.parts import cut_after, pruned
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


class LiftThenDecode:
    """A bird's-eye view in two sessions: the lift in one of one thread, for of two that add to the same cell
    onnxruntime's ScatterND loses one addend now and then; the decoder after it in one of ``threads``.

    Raises :class:`ValueError` where ``network`` cannot be cut there.
    """

    def __init__(self, network: bytes, path: Path, threads: int) -> None:
        lift, decoder, self._cells = cut_after(network, "ScatterND", BEV_OUTPUTS)
        layers, probability = BEV_OUTPUTS
        self._lift = OnnxNetwork(lift, path, 1, BEV_INPUTS, (probability, self._cells))
        self._decoder = OnnxNetwork(decoder, path, threads, (self._cells,), (layers,))

    def __call__(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        layers, probability = BEV_OUTPUTS
        told, cells = self._lift(inputs, (probability, self._cells))
        (decoded,) = self._decoder({self._cells: cells}, (layers,))
        found = {layers: decoded, probability: told}
        return [found[name] for name in outputs]


def _bev_network(network: bytes, path: Path, threads: int) -> Network:
    try:
        return LiftThenDecode(network, path, threads)
    except ValueError:  # not this project's own lift: as safe with one thread for all of it
        return OnnxNetwork(network, path, 1, BEV_INPUTS, BEV_OUTPUTS)


class OnnxEngine(BundleEngine):
    """Holds a session for single pictures, one for several, and two for the bird's-eye view; where there is depth, the
    first two also for tokens alone. ``network``: what runs instead of ``model.onnx``, and where it lies."""

    def __init__(self, bundle: Bundle, threads: int = 0, network: tuple[bytes, Path] | None = None) -> None:
        bev: Network | None = None
        given, path = (bundle.network, bundle.path / "model.onnx") if network is None else network
        threads = thread_count(threads)

        def spread(network: bytes, gives: Sequence[str]) -> SpreadNetwork:
            def session(its_threads: int) -> OnnxNetwork:
                return OnnxNetwork(network, path, its_threads, ("images",), gives)

            alone = session(threads)
            return SpreadNetwork(alone, lambda: alone if threads == 1 else session(1), threads)

        model = spread(given, network_outputs(bundle.manifest))
        if bundle.bev_network is not None:
            bev = _bev_network(bundle.bev_network, bundle.path / "bev.onnx", threads)
        super().__init__(bundle, model, bev, lambda: spread(pruned(given, ("tokens",)), ("tokens",)))


def load_engine(path: Path, threads: int = 0) -> OnnxEngine:
    """Open the bundle folder ``path`` and start the default engine on it, unverified: for whoever makes, measures or
    examines a bundle. What drives goes through :func:`airside.commands.engine_choice.ready_engine`."""
    return OnnxEngine(open_bundle(path), threads)
