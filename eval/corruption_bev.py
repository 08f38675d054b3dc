"""How the bird's-eye view holds under nuScenes-C's eight corruptions: the part of ``eval.apron_corruption`` with rigs.

A corruption falls on every camera of a rig; of a crashed camera and of a lost frame the network gets black pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from airside.config import RigConfig, load_rig
from airside.engine.engine import Engine
from airside.progress import Progress
from eval.apron_protocol import SEED_CORRUPTION, bev_plans
from eval.bev_frames import BevFrame, bev_frames, rig_at_size
from eval.bev_heads import bev_spec_of, network_head, scored_layers
from eval.bev_scores import THRESHOLD, BevScores
from training.corruptions import LOSSES, PICTURE_CORRUPTIONS, STRENGTHS, corrupt, lost_frames

RADIUS_M = 25.0
LAYERS_ASKED = ("vehicles", "drivable")
MIDDLE = "2"

Corrupted = Callable[[int], np.ndarray]  # number of a frame -> its pictures [N, H, W, 3] uint8


class BevCorruptionTest:
    """Sends the same stops of a rig through the network, clean and corrupted. ``rig`` delivers the network's size.

    Raises :class:`airside.errors.UsageError` for a model without a bird's-eye view.
    """

    def __init__(self, engine: Engine, rig: RigConfig, frames: Sequence[BevFrame]) -> None:
        self._engine, self._frames = engine, frames
        self._spec = bev_spec_of(engine.manifest)
        self._layers = scored_layers(self._spec)
        self._head = network_head(engine, rig)

    def run(self) -> dict[str, Any]:
        """Plain values: IoU by layer ``clean``, and with ``relative``, IoU over the clean one, by corruption and
        strength; ``worst_middle_relative`` by layer."""
        names = (*PICTURE_CORRUPTIONS, *LOSSES)
        with Progress("stops, clean and corrupted", len(self._frames) * (1 + len(names) * len(STRENGTHS))) as progress:
            clean = self._iou(lambda k: self._frames[k].rgb, progress)
            corruptions = {
                name: {
                    str(strength): _compared(self._iou(self._corrupted(name, strength), progress), clean)
                    for strength in STRENGTHS
                }
                for name in names
            }
        return {
            "clean": clean,
            "corruptions": corruptions,
            "worst_middle_relative": {
                layer: _least(cells[MIDDLE][layer]["relative"] for cells in corruptions.values()) for layer in clean
            },
            "frames": len(self._frames),
            "radius_m": RADIUS_M,
        }

    def _corrupted(self, name: str, strength: int) -> Corrupted:
        if name in LOSSES:
            lost = self._lost(name, strength)
            return lambda k: np.where(lost[k][:, None, None, None], np.uint8(0), self._frames[k].rgb)
        kind = list(PICTURE_CORRUPTIONS).index(name)

        def pictures(k: int) -> np.ndarray:
            frame, made = self._frames[k], []
            for camera, (image, depth_m) in enumerate(zip(frame.rgb, frame.depth_m, strict=True)):
                rng = np.random.default_rng([SEED_CORRUPTION, kind, k, camera])  # the same draws at every strength
                made.append(corrupt(image, name, strength, rng, depth_m))
            return np.stack(made)

        return pictures

    def _lost(self, name: str, strength: int) -> list[np.ndarray]:
        """For each frame [N] bool: cameras that deliver nothing. The stops in one world are a stretch."""
        worlds = [frame.world for frame in self._frames]
        cameras = len(self._frames[0].rgb)
        kind = len(PICTURE_CORRUPTIONS) + list(LOSSES).index(name)
        masks = {}
        for world in dict.fromkeys(worlds):
            rng = np.random.default_rng([SEED_CORRUPTION, kind, world])
            masks[world] = iter(lost_frames(name, worlds.count(world), cameras, strength, rng))
        return [next(masks[world]) for world in worlds]

    def _iou(self, pictures: Corrupted, progress: Progress) -> dict[str, float | None]:
        scores = BevScores(self._layers, self._spec.grid, RADIUS_M)
        for k, frame in enumerate(self._frames):
            probabilities = self._head(self._engine.outputs(pictures(k)))
            scores.add({"network": probabilities >= THRESHOLD}, frame)
            progress.step()
        return {layer: row["network"] for layer, row in scores.iou().items() if layer in LAYERS_ASKED}


def _least(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return min(known) if known else None


def _compared(iou: dict[str, float | None], clean: dict[str, float | None]) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = {}
    for layer, value in iou.items():
        was = clean[layer]
        found[layer] = {"iou": value, "relative": value / was if value is not None and was else None}
    return found


def evaluate_bev(engine: Engine, rig_path: Path, samples: int, workers: int, cache: Path | None) -> dict[str, Any]:
    """The report of :class:`BevCorruptionTest` on the bird's-eye benchmark's frames; ``skipped`` and why, where there
    is nothing to test."""
    manifest = engine.manifest
    if manifest.bev is None:
        return {"skipped": f"the model {manifest.name} has no bird's-eye view"}
    if not samples:
        return {"skipped": "--bev-frames 0"}
    rig = rig_at_size(load_rig(rig_path), manifest.height_px, manifest.width_px)
    frames = bev_frames(bev_plans(samples), rig, manifest.bev.grid, "worlds seen from above", workers, cache)
    return BevCorruptionTest(engine, rig, list(frames)).run()


def print_bev_table(report: dict[str, Any]) -> None:
    if "skipped" in report:
        print(f"\nbird's-eye view: skipped, {report['skipped']}")
        return
    clean = ", ".join(f"{layer} {_figure(iou, '.3f')}" for layer, iou in report["clean"].items())
    print(f"\n{report['frames']} stops, IoU within {report['radius_m']:g} m: {clean}")
    print(f"{'of clean':16} {' / '.join(report['clean']):>20}")
    for name, by_strength in report["corruptions"].items():
        shown = (" / ".join(_figure(c["relative"], ".0%") for c in row.values()) for row in by_strength.values())
        print(f"{name:16}    " + " ".join(f"{s:>20}" for s in shown))


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
