"""Frames of a whole rig with the truth from above, rendered on every core and kept for those who evaluate many models.

A file is found by its plan, its rig, its grid, and the source of everything that made it.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from airside.config import RigConfig
from airside.geometry.bev_grid import BevGrid
from airside.progress import Progress
from training import bev_truth, rig_frames
from training.apron.bulk import simulator_digest
from training.rig_frames import RigPlan, rig_frames_of

_STACKED = ("rgb", "depth_m", "layers", "visible")


@dataclass(frozen=True, slots=True, eq=False)
class BevFrame:
    """What the N cameras of a rig saw at one moment, and what was there.

    ``rgb`` [N, H, W, 3] uint8; ``depth_m`` [N, H, W] float16 along the optical axis (inf: sky), as fog needs it;
    ``layers`` [3, X, Y] bool in the order of :data:`airside.geometry.bev_grid.LAYERS`; ``visible`` [X, Y] bool:
    cells that fall into a camera's picture.
    """

    rgb: np.ndarray
    depth_m: np.ndarray
    layers: np.ndarray
    visible: np.ndarray
    condition: str
    world: int


def rig_at_size(rig: RigConfig, height_px: int, width_px: int) -> RigConfig:
    """``rig`` with the pinholes its cameras are made into, at the network's size; raises as
    ``PinholeCamera.scaled_to`` does."""
    cameras = []
    for camera in rig.cameras:
        small = camera.pinhole.scaled_to(width_px, height_px)
        lens = {name: getattr(small, name) for name in ("fx", "fy", "cx", "cy", "width", "height")}
        plain = replace(camera, model="pinhole", coefficients=(), pinhole_fov_deg=None, pinhole_size_px=None, **lens)
        cameras.append(plain)
    return RigConfig(tuple(cameras))


def bev_frames(
    plans: Sequence[RigPlan], rig: RigConfig, grid: BevGrid, what: str, workers: int = 0, cache: Path | None = None
) -> Iterator[BevFrame]:
    """Frames of every plan, in order; ``workers`` processes (0: one a core); kept in the folder ``cache``, if given.

    Raises as :func:`training.rig_frames.rig_frames_of` does.
    """
    os.environ.setdefault("LP_NUM_THREADS", "1")
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
    frames_from_plan = functools.partial(frames_of, rig=rig, grid=grid, cache=cache)
    with (
        Progress(what, len(plans)) as progress,
        ProcessPoolExecutor(workers or os.cpu_count() or 1, mp_context=get_context("spawn")) as pool,
    ):
        for frames in pool.map(frames_from_plan, plans):
            yield from frames
            progress.step()


def frames_of(plan: RigPlan, rig: RigConfig, grid: BevGrid, cache: Path | None = None) -> list[BevFrame]:
    """The frames of ``plan``: from the folder ``cache`` if they are there, else rendered and put there."""
    if cache is None:
        return _rendered(plan, rig, grid)
    path = cache / f"rig-{_key(plan, rig, grid)[:24]}.npz"
    if path.exists():
        return _read(path)
    frames = _rendered(plan, rig, grid)
    part = path.with_suffix(f".{os.getpid()}.part.npz")
    columns = {name: np.stack([getattr(frame, name) for frame in frames]) for name in _STACKED}
    columns |= {name: np.array([getattr(frame, name) for frame in frames]) for name in ("condition", "world")}
    np.savez(part, **columns)
    os.replace(part, path)
    return frames


def _rendered(plan: RigPlan, rig: RigConfig, grid: BevGrid) -> list[BevFrame]:
    found = []
    for frame in rig_frames_of(plan, rig):
        truth = frame.bev_truth(grid)
        depth_m = frame.depth_m.astype(np.float16)
        found.append(BevFrame(frame.rgb, depth_m, truth.layers, truth.visible, frame.condition, frame.world))
    return found


def _read(path: Path) -> list[BevFrame]:
    with np.load(path) as stored:
        columns = {name: stored[name] for name in stored.files}
    found = []
    for k, (condition, world) in enumerate(zip(columns["condition"], columns["world"], strict=True)):
        rgb, depth_m, layers, visible = (columns[name][k] for name in _STACKED)
        found.append(BevFrame(rgb, depth_m, layers, visible, str(condition), int(world)))
    return found


def _key(plan: RigPlan, rig: RigConfig, grid: BevGrid) -> str:
    return hashlib.sha256(f"{_source_digest()} {plan!r} {rig!r} {grid!r}".encode()).hexdigest()


@functools.cache
def _source_digest() -> str:
    """SHA-256 of every source file that a frame depends on."""
    digest = hashlib.sha256(simulator_digest().encode())
    for module in (rig_frames, bev_truth):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()
