"""The default engine: onnxruntime on the processor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from airside.engine.bundle import Bundle, Manifest, open_bundle
from airside.errors import CorruptError, InputError


class OnnxEngine:
    """Holds one onnxruntime session. ``threads`` 0 leaves the number to onnxruntime (one a core)."""

    def __init__(self, bundle: Bundle, threads: int = 0) -> None:
        self._manifest = bundle.manifest
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(bundle.network, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own, undocumented types
            raise CorruptError(f"onnxruntime refuses {bundle.path / 'model.onnx'}: {error}") from error

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    def tokens(self, images: np.ndarray) -> np.ndarray:
        m = self._manifest
        wanted = (m.height_px, m.width_px, 3)
        if images.ndim != 4 or images.shape[1:] != wanted or images.dtype != np.uint8:
            raise InputError(
                f"wanted pictures [N, {m.height_px}, {m.width_px}, 3] uint8, got {images.shape} {images.dtype}"
            )
        (tokens,) = self._session.run(["tokens"], {"images": images})
        return np.asarray(tokens, np.float32)


def load_engine(path: Path, threads: int = 0) -> OnnxEngine:
    """Open the bundle folder ``path`` and start the default engine on it."""
    return OnnxEngine(open_bundle(path), threads)
