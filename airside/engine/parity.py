"""The stored-output check: an engine must repeat, here, what the bundle's networks computed where they were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from airside.engine.bundle import Manifest
from airside.engine.engine import Engine
from airside.errors import CorruptError
from airside.geometry.bev_view import BevView
from airside.geometry.lift_map import depth_probability_from_metric
from airside.geometry.splat_table import SplatTable

TOLERANCE = 1e-3  # of float32; of metres relative; of a unit token's component and of a probability absolute
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


def measured_for(outputs: Mapping[str, np.ndarray], view: BevView) -> np.ndarray:
    """What the bird's-eye view of stored ``outputs`` is given as measured: their depth as if it were metric, or that
    nothing was measured where they have none."""
    table = view.table
    depth = outputs.get("depth", np.full((table.cameras, *table.patch_grid), np.nan))
    return depth_probability_from_metric(depth, table.patch_grid, table.bins)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One output beside its stored reference. NaN where either holds one; infinite (cosine -1) where shapes differ.

    ``cosine``: the lowest of a patch's tokens, of any other output as a whole. ``relative``: the largest difference
    over the value it belongs to, of tokens over their length. ``absolute``: the largest difference of one number.
    """

    output: str
    cosine: float
    relative: float
    absolute: float


def compare(engine: Engine, stored: StoredOutputs) -> tuple[Comparison, ...]:
    """Run ``engine`` on the stored inputs: one comparison an output, the worst one of all pictures together and of
    what engines may compute another way: the first picture alone, and tokens alone."""
    tokens, alone, found = (
        engine.tokens(stored.images),
        engine.outputs(stored.images[:1]),
        engine.outputs(stored.images),
    )
    came: dict[str, np.ndarray | None] = {"tokens": found.tokens, "depth": found.depth}
    if stored.view is not None:
        maps = engine.bev(stored.outputs["tokens"], stored.view, measured_for(stored.outputs, stored.view))
        came |= {"bev": maps.layers, "depth_probability": maps.depth_probability}
    compared = {name: comparison_of(name, came[name], wanted) for name, wanted in stored.outputs.items()}
    for name, value in (("tokens", tokens), ("tokens", alone.tokens), ("depth", alone.depth)):
        if name in compared:
            wanted = stored.outputs[name] if value is tokens else stored.outputs[name][:1]
            compared[name] = _worse(compared[name], comparison_of(name, value, wanted))
    return tuple(compared.values())


def _worse(one: Comparison, other: Comparison) -> Comparison:
    """NaN counts as the worst."""
    figures = ((one.relative, other.relative), (one.absolute, other.absolute))
    cosine = float(np.min((one.cosine, other.cosine)))
    return Comparison(one.output, cosine, *(float(np.max(pair)) for pair in figures))


def differences(engine: Engine, stored: StoredOutputs) -> dict[str, float]:
    """Output -> how far ``engine`` is from ``stored``, to be held against :data:`TOLERANCE`: the relative difference of
    depth, the absolute one of everything else, which lies between -1 and 1."""
    return {c.output: c.relative if c.output == "depth" else c.absolute for c in compare(engine, stored)}


def comparison_of(output: str, came: np.ndarray | None, wanted: np.ndarray) -> Comparison:
    """``came`` beside ``wanted``, the stored reference."""
    if came is None or came.shape != wanted.shape:
        return Comparison(output, -1.0, float("inf"), float("inf"))
    gap = np.abs(came - wanted)
    if output == "tokens":
        cosine = _cosine(came, wanted).min()
        relative = (np.linalg.norm(gap, axis=-1) / np.maximum(np.linalg.norm(wanted, axis=-1), 1e-12)).max()
    else:
        cosine = _cosine(came.ravel(), wanted.ravel())
        size = np.abs(wanted)
        relative = (gap / np.maximum(size, max(_SMALLEST * size.max(), 1e-12))).max()
    return Comparison(output, float(cosine), float(relative), float(gap.max()))


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Along the last axis, in double precision."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.asarray((a * b).sum(axis=-1) / np.maximum(lengths, 1e-24))
