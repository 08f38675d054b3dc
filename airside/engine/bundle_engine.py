"""What every engine owes a bundle, checked in one place: the shapes that go in, and those that come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from airside.engine.bundle import Bundle, Manifest
from airside.engine.engine import BevMaps, NetworkOutput
from airside.errors import CorruptError, InputError, MismatchError, UsageError
from airside.geometry.bev_view import BevView

BEV_INPUTS = ("tokens", "rays", "measured", "patch", "depth_bin", "cell")
BEV_OUTPUTS = ("bev", "depth_probability")


class Network(Protocol):
    """One compiled network of a bundle."""

    def __call__(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        """The named ``outputs``, in their order."""
        ...


class BundleEngine:
    """An :class:`airside.engine.engine.Engine` around the networks of a bundle, whoever compiled them.

    ``tokens_alone`` makes the network that gives nothing but tokens, when it is first needed.
    """

    def __init__(
        self, bundle: Bundle, network: Network, bev: Network | None, tokens_alone: Callable[[], Network]
    ) -> None:
        self._manifest, self._path = bundle.manifest, bundle.path
        self._names = network_outputs(bundle.manifest)
        self._network, self._bev = network, bev
        self._make_tokens_alone = tokens_alone
        self._tokens_alone: Network | None = network if self._names == ("tokens",) else None

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    def tokens(self, images: np.ndarray) -> np.ndarray:
        require_pictures(images, self._manifest)
        if self._tokens_alone is None:
            try:
                self._tokens_alone = self._make_tokens_alone()
            except ValueError:  # not a network that can be pruned: the whole one gives the same tokens
                self._tokens_alone = self._network
        (tokens,) = self._tokens_alone({"images": images}, ["tokens"])
        return np.asarray(tokens, np.float32)

    def outputs(self, images: np.ndarray) -> NetworkOutput:
        require_pictures(images, self._manifest)
        found = dict(zip(self._names, self._network({"images": images}, self._names), strict=True))
        depth = found.get("depth")
        if depth is not None:
            depth, (rows, columns) = np.asarray(depth, np.float32), self._manifest.grid
            if depth.ndim != 3 or len(depth) != len(images) or depth.shape[1] % rows or depth.shape[2] % columns:
                raise CorruptError(
                    f"{self._path / 'model.onnx'} gives depth {list(depth.shape)} for {len(images)} pictures, wanted "
                    f"multiples of the patch grid {rows} x {columns}; export the bundle anew"
                )
        return NetworkOutput(np.asarray(found["tokens"], np.float32), depth)

    def bev(self, tokens: np.ndarray, view: BevView, measured: np.ndarray | None = None) -> BevMaps:
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
        bins = (table.cameras, spec.bins.count, *self._manifest.grid)
        if measured is None:
            measured = np.zeros(bins, np.float32)
        elif measured.shape != bins or measured.dtype != np.float32:
            raise MismatchError(f"measured: wanted {list(bins)} float32, got {list(measured.shape)} {measured.dtype}")
        whole = (tokens.astype(np.float32, copy=False), view.rays, measured)
        values = (*whole, table.patch, table.depth_bin, table.cell)
        layers, probability = self._bev(dict(zip(BEV_INPUTS, values, strict=True)), BEV_OUTPUTS)
        shapes = (len(spec.layers), *spec.grid.shape), bins
        if (layers.shape, probability.shape) != shapes:
            raise CorruptError(
                f"{self._path / 'bev.onnx'} gives {list(layers.shape)} and {list(probability.shape)}, its manifest "
                f"says {list(shapes[0])} and {list(shapes[1])}; export the bundle anew"
            )
        return BevMaps(np.asarray(layers, np.float32), np.asarray(probability, np.float32))


def network_outputs(manifest: Manifest) -> tuple[str, ...]:
    """What ``model.onnx`` gives: the bird's-eye view is a network of its own."""
    return tuple(name for name in manifest.outputs if name != "bev")


def require_pictures(images: np.ndarray, manifest: Manifest) -> None:
    """Raise :class:`InputError` unless ``images`` are [N, H, W, 3] uint8 at the bundle's size."""
    wanted = (manifest.height_px, manifest.width_px, 3)
    if images.ndim != 4 or images.shape[1:] != wanted or images.dtype != np.uint8:
        raise InputError(
            f"wanted pictures [N, {manifest.height_px}, {manifest.width_px}, 3] uint8, got {images.shape} "
            f"{images.dtype}"
        )


def require_names(path: Path, what: str, found: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise :class:`CorruptError` unless the network at ``path`` ``what`` ("takes", "gives") as its manifest says."""
    if set(found) != set(wanted):
        raise CorruptError(
            f"{path} {what} {', '.join(sorted(found))}, its manifest says {', '.join(wanted)}; "
            "copy the whole folder again or export it anew"
        )
