"""The stored-output check: an engine must repeat, here, what the bundle's networks computed where they were made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from airside.engine.bundle import Manifest
from airside.engine.engine import Engine
from airside.errors import CorruptError
from airside.geometry.bev_view import BevView
from airside.geometry.splat_table import SplatTable

TOLERANCE = 1e-3  # tokens: of a unit token's component; anything else: relative
MAX_BYTES = 256 << 20
_SMALLEST = 1e-3  # of the largest value: what is smaller is compared as if it were this large


@dataclass(frozen=True, slots=True)
class StoredOutputs:
    """``images`` [N, H, W, 3] uint8, what the networks gave for them, and the rig the bird's-eye view was given."""

    images: np.ndarray
    outputs: dict[str, np.ndarray]  # "tokens", then "depth", then "bev" and "depth_probability"
    view: BevView | None


def save_outputs(path: Path, stored: StoredOutputs) -> None:
    """Write ``stored`` as ``parity.npz``."""
    rig: dict[str, np.ndarray] = {}
    if stored.view is not None:
        table = stored.view.table
        rig = {"rays": stored.view.rays, "patch": table.patch, "depth_bin": table.depth_bin, "cell": table.cell}
        rig = {name: column.astype(np.int32) if column.ndim == 1 else column for name, column in rig.items()}
    np.savez_compressed(path, allow_pickle=False, images=stored.images, **rig, **stored.outputs)


def load_outputs(path: Path, manifest: Manifest) -> StoredOutputs:
    """Read ``parity.npz`` of a bundle. Raises :class:`CorruptError` when it is not what ``manifest`` calls for."""
    again = "copy the bundle again or export it anew"
    if path.stat().st_size > MAX_BYTES:
        raise CorruptError(f"{path} is larger than {MAX_BYTES >> 20} MiB; {again}")
    names = [name for name in manifest.outputs if name != "bev"]
    view = None
    try:
        with np.load(path, allow_pickle=False) as stored:
            if manifest.bev is not None:
                rays = stored["rays"]
                columns = (stored[name].astype(np.int64) for name in ("patch", "depth_bin", "cell"))
                table = SplatTable(manifest.bev.grid, manifest.bev.bins, len(rays), manifest.grid, *columns)
                view = BevView(rays, table)
                names += ["bev", "depth_probability"]
            images, outputs = stored["images"], {name: stored[name] for name in names}
    except Exception as error:  # zip, format, key and table errors have no common root
        raise CorruptError(f"{path} cannot be read ({type(error).__name__}: {error}); {again}") from error
    if not len(images):
        raise CorruptError(f"{path} holds no picture; {again}")
    return StoredOutputs(images, outputs, view)


def differences(engine: Engine, stored: StoredOutputs) -> dict[str, float]:
    """Output -> how far ``engine`` is from ``stored``, to be held against :data:`TOLERANCE`; NaN where either is NaN,
    infinite where shapes differ.

    Tokens differ by the largest absolute difference of a component, other outputs by the largest relative one.
    """
    found = engine.outputs(stored.images)
    came: dict[str, np.ndarray | None] = {"tokens": found.tokens, "depth": found.depth}
    if stored.view is not None:
        maps = engine.bev(stored.outputs["tokens"], stored.view)
        came |= {"bev": maps.layers, "depth_probability": maps.depth_probability}
    return {name: _difference(came[name], wanted, name != "tokens") for name, wanted in stored.outputs.items()}


def _difference(came: np.ndarray | None, wanted: np.ndarray, relative: bool) -> float:
    if came is None or came.shape != wanted.shape:
        return float("inf")
    gap, size = np.abs(came - wanted), np.abs(wanted)
    return float((gap / np.maximum(size, max(_SMALLEST * size.max(), 1e-12)) if relative else gap).max())
