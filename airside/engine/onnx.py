"""The default engine: onnxruntime on the processor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from airside.engine.bundle import Bundle, Manifest, open_bundle
from airside.engine.engine import BevMaps, NetworkOutput
from airside.errors import CorruptError, InputError, MismatchError, UsageError
from airside.geometry.bev_view import BevView

_BEV_INPUTS = ("tokens", "rays", "patch", "depth_bin", "cell")
_BEV_OUTPUTS = ("bev", "depth_probability")


class OnnxEngine:
    """Holds one onnxruntime session a network. ``threads`` 0 leaves the number to onnxruntime (one a core).

    Raises :class:`CorruptError` when onnxruntime refuses a network, or it is not the one the manifest describes.
    """

    def __init__(self, bundle: Bundle, threads: int = 0) -> None:
        self._manifest, self._path = bundle.manifest, bundle.path
        self._names = tuple(name for name in bundle.manifest.outputs if name != "bev")
        self._session = _session(bundle.network, bundle.path / "model.onnx", threads, ("images",), self._names)
        self._bev: onnxruntime.InferenceSession | None = None
        if bundle.bev_network is not None:
            self._bev = _session(bundle.bev_network, bundle.path / "bev.onnx", threads, _BEV_INPUTS, _BEV_OUTPUTS)

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    def tokens(self, images: np.ndarray) -> np.ndarray:
        self._require_pictures(images)
        (tokens,) = self._session.run(["tokens"], {"images": images})
        return np.asarray(tokens, np.float32)

    def outputs(self, images: np.ndarray) -> NetworkOutput:
        self._require_pictures(images)
        found = dict(zip(self._names, self._session.run(list(self._names), {"images": images}), strict=True))
        depth = found.get("depth")
        if depth is not None:
            depth, (rows, columns) = np.asarray(depth, np.float32), self._manifest.grid
            if depth.ndim != 3 or len(depth) != len(images) or depth.shape[1] % rows or depth.shape[2] % columns:
                raise CorruptError(
                    f"{self._path / 'model.onnx'} gives depth {list(depth.shape)} for {len(images)} pictures, wanted "
                    f"multiples of the patch grid {rows} x {columns}; export the bundle anew"
                )
        return NetworkOutput(np.asarray(found["tokens"], np.float32), depth)

    def bev(self, tokens: np.ndarray, view: BevView) -> BevMaps:
        spec, table = self._manifest.bev, view.table
        if self._bev is None or spec is None:
            raise UsageError(f"the model {self._manifest.name} has no bird's-eye view; give another with --model")
        if (table.grid, table.bins, table.patch_grid) != (spec.grid, spec.bins, self._manifest.grid):
            raise MismatchError(
                f"the bird's-eye view was made for another model than {self._manifest.name}: its grid, depth bins or "
                "patches differ; make it with this model's manifest (bev_view)"
            )
        wanted = (table.cameras, *self._manifest.grid, self._manifest.token_width)
        if tokens.shape != wanted:
            raise MismatchError(f"tokens: this rig's bird's-eye view wants {list(wanted)}, got {list(tokens.shape)}")
        values = (tokens.astype(np.float32, copy=False), view.rays, table.patch, table.depth_bin, table.cell)
        layers, probability = self._bev.run(list(_BEV_OUTPUTS), dict(zip(_BEV_INPUTS, values, strict=True)))
        shapes = (len(spec.layers), *spec.grid.shape), (table.cameras, spec.bins.count, *self._manifest.grid)
        if (layers.shape, probability.shape) != shapes:
            raise CorruptError(
                f"{self._path / 'bev.onnx'} gives {list(layers.shape)} and {list(probability.shape)}, its manifest "
                f"says {list(shapes[0])} and {list(shapes[1])}; export the bundle anew"
            )
        return BevMaps(np.asarray(layers, np.float32), np.asarray(probability, np.float32))

    def _require_pictures(self, images: np.ndarray) -> None:
        m = self._manifest
        wanted = (m.height_px, m.width_px, 3)
        if images.ndim != 4 or images.shape[1:] != wanted or images.dtype != np.uint8:
            raise InputError(
                f"wanted pictures [N, {m.height_px}, {m.width_px}, 3] uint8, got {images.shape} {images.dtype}"
            )


def _session(
    network: bytes, path: Path, threads: int, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry(
        "session.force_spinning_stop", "1"
    )  # idle threads leave the cores to the next stage
    try:
        session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own, undocumented types
        raise CorruptError(f"onnxruntime refuses {path}: {error}") from error
    for what, wanted, found in (("takes", inputs, session.get_inputs()), ("gives", outputs, session.get_outputs())):
        names = {value.name for value in found}
        if names != set(wanted):
            raise CorruptError(
                f"{path} {what} {', '.join(sorted(names))}, its manifest says {', '.join(wanted)}; "
                "copy the whole folder again or export it anew"
            )
    return session


def load_engine(path: Path, threads: int = 0) -> OnnxEngine:
    """Open the bundle folder ``path`` and start the default engine on it."""
    return OnnxEngine(open_bundle(path), threads)
