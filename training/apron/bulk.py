"""Labelled pictures in bulk, on every core; kept on disk for those who evaluate many models on the same pictures.

A file is found by its plan and by the simulator's source: a changed simulator never finds the pictures of the old one.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from training.apron.frames import HEIGHT_PX, WIDTH_PX, LabelledFrame, WorldPlan, frames_of
from training.apron.renderer import View

_STACKED = ("rgb", "label", "instance", "depth_m")
_PLAIN = ("names", "condition", "lens", "world")


def render_plans(
    plans: Sequence[WorldPlan], workers: int = 0, cache: Path | None = None
) -> Iterator[tuple[WorldPlan, list[LabelledFrame]]]:
    """Frames of every plan, in order; ``workers`` processes (0: one a core); kept in the folder ``cache``, if given."""
    os.environ.setdefault("LP_NUM_THREADS", "1")
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
    frames_from_plan = functools.partial(cached_frames, folder=cache) if cache is not None else frames_of
    with ProcessPoolExecutor(workers or os.cpu_count() or 1, mp_context=get_context("spawn")) as pool:
        yield from zip(plans, pool.map(frames_from_plan, plans), strict=True)


def cached_frames(plan: WorldPlan, folder: Path) -> list[LabelledFrame]:
    """The frames of ``plan``: from ``folder`` if they are there, else rendered and put there."""
    key = hashlib.sha256(f"{simulator_digest()} {HEIGHT_PX}x{WIDTH_PX} {plan!r}".encode()).hexdigest()
    path = folder / f"{key[:24]}.npz"
    if path.exists():
        return _read(path)
    frames = frames_of(plan)
    part = path.with_suffix(f".{os.getpid()}.part.npz")
    stacks = {name: np.stack([getattr(frame, name) for frame in frames]) for name in _STACKED}
    plain = {name: np.array([getattr(frame, name) for frame in frames]) for name in _PLAIN}
    views = [
        [*f.view.xyz_m, f.view.yaw_rad, f.view.pitch_rad, f.view.roll_rad, f.view.horizontal_fov_rad] for f in frames
    ]
    np.savez(part, **stacks, **plain, view=np.array(views))
    os.replace(part, path)
    return frames


def _read(path: Path) -> list[LabelledFrame]:
    with np.load(path) as stored:
        columns = {name: stored[name] for name in stored.files}
    return [
        LabelledFrame(
            *(columns[name][k] for name in _STACKED),
            names=tuple(map(str, columns["names"][k])),
            condition=str(columns["condition"][k]),
            lens=str(columns["lens"][k]),
            world=int(columns["world"][k]),
            view=_view(columns["view"][k].tolist(), columns["rgb"].shape[1:3]),
        )
        for k in range(len(columns["world"]))
    ]


def _view(numbers: list[float], size_px: tuple[int, int]) -> View:
    x, y, z, *angles = numbers
    return View((x, y, z), *angles, *size_px)


@functools.cache
def simulator_digest() -> str:
    """SHA-256 of every source file that a frame depends on."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
