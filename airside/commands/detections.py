"""What two engines report of the same pictures: the difference that matters in the end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from airside.bank.store import BankStore
from airside.cameras.sources import open_camera
from airside.config import SiteConfig
from airside.engine.engine import Engine
from airside.engine.verification import Detections
from airside.errors import InputError, UsageError
from airside.messages import Box, Frame, FrameBundle, Sighting
from airside.pipeline import Pipeline

MOST_PICTURES, EVERY = 20, 3  # neighbours in a film show the same
SAME_IOU = 0.5


def compare_detections(reference: Engine, engine: Engine, bank: Path, pictures: str) -> Detections:
    """Every third frame of ``pictures``, twenty at most, through both engines and one bank.

    Raises :class:`UsageError` where ``pictures`` is a live camera, :class:`InputError` where it has no frame.
    """
    with open_camera(pictures) as camera:
        if camera.expected_frames is None:
            raise UsageError(
                f"--pictures {pictures}: wanted a folder of pictures or a video, the same for both engines"
            )
        frames = list(islice(camera.frames(), 0, EVERY * MOST_PICTURES, EVERY))
    if not frames:
        raise InputError(f"--pictures {pictures} has no frame: give another one")
    wanted, came = _run(reference, bank, frames), _run(engine, bank, frames)
    both = sum(_matches(a, b) for (a, _), (b, _) in zip(wanted, came, strict=True))
    total = sum(len(sightings) for run in (wanted, came) for sightings, _ in run)
    gaps = [float(np.abs(a - b).mean()) for (_, a), (_, b) in zip(wanted, came, strict=True)]
    return Detections(len(frames), 2 * both / total if total else 1.0, float(np.mean(gaps)))


def _run(engine: Engine, bank: Path, frames: Sequence[Frame]) -> list[tuple[tuple[Sighting, ...], np.ndarray]]:
    pipeline = Pipeline(engine, BankStore(bank), site=SiteConfig(), rig={frames[0].camera: None})
    ticks = [pipeline.tick(FrameBundle(frame.capture_ns, (frame,))) for frame in frames]
    nothing = np.zeros(engine.manifest.grid, np.float32)  # of a picture that no engine was asked about
    return [(tick.record.sightings, tick.views[0].map.ood_score if tick.views else nothing) for tick in ticks]


def _matches(wanted: Sequence[Sighting], came: Sequence[Sighting]) -> int:
    """How many of ``wanted`` have a sighting of the same name and place of their own in ``came``."""
    left, found = list(came), 0
    for sighting in wanted:
        region = sighting.region
        for other in left:
            if other.region.name == region.name and _iou(other.region.box_px, region.box_px) >= SAME_IOU:
                left.remove(other)
                found += 1
                break
    return found


def _iou(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
