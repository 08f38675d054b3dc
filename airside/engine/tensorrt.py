"""TensorRT on a vehicle: one strongly typed plan for one rig, built on the device and kept in the cache.

One pass gives tokens, depth and bird's-eye view together; :meth:`TensorRtEngine.bev` returns the view of the pass whose
tokens it is given. Not yet run on a GPU here: the parity gate (``airside verify``) decides on the device.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from airside.engine.bundle import Bundle, Manifest
from airside.engine.bundle_engine import require_pictures
from airside.engine.cache import cache_folder, write_cached
from airside.engine.cuda import Cuda
from airside.engine.engine import BevMaps, NetworkOutput
from airside.engine.fused import Fused
from airside.engine.tensorrt_build import build_plan, require_fused_attention
from airside.errors import MismatchError, UnavailableError, UsageError
from airside.geometry.bev_view import BevView

_SAME_TOKENS = 0.1  # of a unit token's component: float16 stays far below, another picture far above


class TensorRtEngine:
    """Runs a plan of ``fused`` (see :func:`plan_for`); ``trt`` is the library, ``cuda`` the device's memory.

    Raises :class:`UnavailableError` when the plan is of another device or version, :class:`MismatchError` when no
    attention is fused.
    """

    def __init__(self, bundle: Bundle, fused: Fused, plan: bytes, trt: Any, cuda: Cuda) -> None:
        self._manifest, self._fused, self._cuda = bundle.manifest, fused, cuda
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise UnavailableError(
                f"TensorRT {trt.__version__} does not load the plan of {fused.path}: another version built it, or for "
                f"another device; delete the plans in {plan_folder()} and verify again"
            )
        self.fused_attentions = require_fused_attention(trt, engine, fused.attentions)
        self._engine, self._context = engine, engine.create_execution_context()
        self._stream = cuda.stream()
        self._pictures = np.zeros_like(fused.stored.images)
        self._found = {name: np.zeros(value.shape, np.float32) for name, value in fused.stored.outputs.items()}
        self._device = {}
        for name, host in (("images", self._pictures), *self._found.items()):
            shape = tuple(engine.get_tensor_shape(name))
            if shape != host.shape:
                raise MismatchError(f"the plan's {name} is {list(shape)}, {fused.path} stores {list(host.shape)}")
            self._device[name] = cuda.allocate(host.nbytes)
            self._context.set_tensor_address(name, self._device[name])

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    def tokens(self, images: np.ndarray) -> np.ndarray:
        return self.outputs(images).tokens

    def outputs(self, images: np.ndarray) -> NetworkOutput:
        """Fewer pictures than the rig has cameras are filled up with black ones.

        Raises :class:`UsageError` for more, :class:`UnavailableError` when the device fails.
        """
        require_pictures(images, self._manifest)
        count = len(images)
        if count > len(self._pictures):
            raise UsageError(f"this graph takes {len(self._pictures)} pictures a pass, its rig's cameras, got {count}")
        self._pictures[:count], self._pictures[count:] = images, 0
        self._cuda.to_device(self._device["images"], self._pictures, self._stream)
        if not self._context.execute_async_v3(self._stream):
            raise UnavailableError("TensorRT did not run the network; check the device (nvidia-smi, dmesg)")
        for name, host in self._found.items():
            self._cuda.to_host(host, self._device[name], self._stream)
        self._cuda.wait(self._stream)
        depth = self._found.get("depth")
        return NetworkOutput(self._found["tokens"][:count].copy(), None if depth is None else depth[:count].copy())

    def bev(self, tokens: np.ndarray, view: BevView, measured: np.ndarray | None = None) -> BevMaps:
        """Of the latest pass, which has measured depth itself.

        Raises :class:`MismatchError` when ``tokens`` are not its tokens, or ``view`` is another rig's.
        """
        baked = self._fused.stored.view
        if baked is None:
            raise UsageError(f"the model {self._manifest.name} has no bird's-eye view; give another with --model")
        if not _same_view(view, baked):
            raise MismatchError(
                f"{self._fused.path} was made for another rig, or some of a camera's patches are hidden: make it anew "
                "for this rig, at the cameras' own shape"
            )
        latest = self._found["tokens"]
        if tokens.shape != latest.shape or not np.abs(tokens - latest).max() <= _SAME_TOKENS:
            raise MismatchError("the bird's-eye view comes with its pass: call outputs() with the pictures first")
        return BevMaps(self._found["bev"].copy(), self._found["depth_probability"].copy())


def plan_folder() -> Path:
    """Where plans and their timing caches are kept."""
    return cache_folder() / "tensorrt"


def plan_for(fused: Fused, trt: Any, device: str) -> bytes:
    """The plan of ``fused`` for this device and version: from the cache, or built (minutes) and kept there."""
    made_for = hashlib.sha256(fused.network + f"{trt.__version__} {device}".encode()).hexdigest()[:24]
    path = plan_folder() / f"{made_for}.plan"
    try:
        return path.read_bytes()
    except OSError:  # not built yet
        times = hashlib.sha256(f"{trt.__version__} {device}".encode()).hexdigest()[:24]
        plan = build_plan(trt, fused.network, plan_folder() / f"{times}.timing")
        write_cached(path, plan)
        return plan


def _same_view(view: BevView, baked: BevView) -> bool:
    columns = ("patch", "depth_bin", "cell")
    return np.allclose(view.rays, baked.rays, atol=1e-5) and all(
        np.array_equal(getattr(view.table, name), getattr(baked.table, name)) for name in columns
    )
