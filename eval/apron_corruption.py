"""How novelty holds under nuScenes-C's corruptions: ``python -m eval.apron_corruption --json FILE [--frames N]``.

The benchmark's own test frames (:class:`Protocol`), clean and under each of the six picture corruptions at three
strengths: pixel AP, relative to clean. Pictures that a crashed camera or a lost frame leaves black have no AP: what is
asked is that health declares each of them BLIND, so that its view counts as unobserved and never as free. A model with
a bird's-eye view goes through all eight on whole rigs too (``eval.corruption_bev``).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from airside.assets import embedded_bank, embedded_model
from airside.bank.bank import PrototypeBank
from airside.engine.engine import Engine
from airside.errors import AirsideError, InputError
from airside.health import picture_health
from airside.knowledge import knowledge_from_bank
from airside.messages import HealthState
from airside.ood.scoring import METHODS
from airside.pipeline import DEFAULT_METHOD
from airside.progress import Progress
from eval.apron import LARGE_PATCHES, PATCH_AREA_PX, engine_and_bank, rendered, see, unknown_instances
from eval.apron_protocol import BEV_SAMPLES, RIG, SEED_CORRUPTION, Protocol
from eval.corruption_bev import MIDDLE, evaluate_bev, print_bev_table
from eval.metrics.objects import ObjectAccumulator, find_objects
from eval.metrics.pixel import PixelAccumulator, PixelMetrics
from eval.report_file import write_json
from training.apron.frames import LabelledFrame
from training.corruptions import LOSSES, PICTURE_CORRUPTIONS, STRENGTHS, corrupt, lost_frames


@dataclass(frozen=True, slots=True)
class CorruptionResult:
    """All frames under one corruption at one strength. Shares in [0, 1].

    ``ap``, ``fpr95`` and ``object_recall`` count every frame, those declared blind too; ``relative_ap`` is over the AP
    of the clean frames, ``relative_ap_observed`` the same on the frames that were not declared blind (``None``: nothing
    unknown was left in them).
    """

    ap: float
    fpr95: float
    object_recall: float | None
    relative_ap: float
    relative_ap_observed: float | None
    blind_share: float


@dataclass(frozen=True, slots=True)
class LossResult:
    """Black pictures among the others. ``declared_share`` must be 1: a black picture not declared reads as clear."""

    lost_share: float
    declared_share: float | None  # of the lost pictures; None: none was
    wrongly_declared_share: float | None  # of the delivered pictures; None: none was
    unobserved_share: float  # of all


@dataclass(frozen=True, slots=True)
class _Pass:
    """What one pass over the frames left behind: per frame, and of all together."""

    scores: list[np.ndarray]
    blind: np.ndarray  # [frames] bool
    pixels: PixelMetrics
    object_recall: float | None


class CorruptionTest:
    """Sends the same frames through one method, clean and corrupted. Frames must be of the network's size.

    Raises :class:`InputError` where the frames show nothing unknown, or nothing else.
    """

    def __init__(self, engine: Engine, bank: PrototypeBank, method: str, frames: Sequence[LabelledFrame]) -> None:
        self._engine, self._frames = engine, frames
        self._way = knowledge_from_bank(bank, "", method)
        self._unknown = [unknown_instances(frame) for frame in frames]
        self._truth = [np.isin(f.instance, list(u)) for f, u in zip(frames, self._unknown, strict=True)]
        if not any(t.any() for t in self._truth) or all(t.all() for t in self._truth):
            raise InputError(
                f"{len(frames)} frames need pixels of unknown objects and others: there is no AP to compare"
            )

    def run(self) -> dict[str, Any]:
        """Everything, as plain values: ``clean``, ``corruptions`` and ``losses`` by name and strength."""
        passes = 1 + len(PICTURE_CORRUPTIONS) * len(STRENGTHS)
        with Progress("pictures, clean and corrupted", len(self._frames) * passes) as progress:
            clean = self._pass((frame.rgb for frame in self._frames), progress)
            corruptions = {
                name: {
                    str(strength): self._compared(self._pass(self._corrupted(name, strength), progress), clean)
                    for strength in STRENGTHS
                }
                for name in PICTURE_CORRUPTIONS
            }
        middle = [cells[MIDDLE].relative_ap for cells in corruptions.values()]
        return {
            "clean": {
                "ap": clean.pixels.ap,
                "fpr95": clean.pixels.fpr95,
                "object_recall": clean.object_recall,
                "blind_share": float(clean.blind.mean()),
            },
            "corruptions": {name: {s: asdict(c) for s, c in cells.items()} for name, cells in corruptions.items()},
            "worst_middle_relative_ap": min(middle),
            "losses": {name: {str(s): asdict(self._lost(name, s, clean.blind)) for s in STRENGTHS} for name in LOSSES},
        }

    def _corrupted(self, name: str, strength: int) -> Iterable[np.ndarray]:
        kind = list(PICTURE_CORRUPTIONS).index(name)
        for k, frame in enumerate(self._frames):
            rng = np.random.default_rng([SEED_CORRUPTION, kind, k])  # the same draws at every strength
            yield corrupt(frame.rgb, name, strength, rng, frame.depth_m)

    def _pass(self, images: Iterable[np.ndarray], progress: Progress) -> _Pass:
        scores, blind, objects = [], [], ObjectAccumulator()
        for image, frame, unknown in zip(images, self._frames, self._unknown, strict=True):
            seen = see(self._engine.tokens(image[None])[0], image, self._way, self._engine.manifest.patch_px)
            scores.append(seen.pixel_score)
            blind.append(_is_blind(image))
            objects.add(find_objects(frame.instance, seen.flagged, unknown, PATCH_AREA_PX))
            progress.step()
        pixels = self._pooled(scores, np.ones(len(scores), bool))
        assert pixels is not None
        return _Pass(scores, np.array(blind), pixels, objects.recall(LARGE_PATCHES).rate)

    def _pooled(self, scores: Sequence[np.ndarray], counted: np.ndarray) -> PixelMetrics | None:
        pixels = PixelAccumulator()
        for k in np.flatnonzero(counted).tolist():
            pixels.add(scores[k], self._truth[k].astype(np.uint8))
        return pixels.compute()

    def _compared(self, done: _Pass, clean: _Pass) -> CorruptionResult:
        observed, reference = (self._pooled(p.scores, ~done.blind) for p in (done, clean))
        return CorruptionResult(
            ap=done.pixels.ap,
            fpr95=done.pixels.fpr95,
            object_recall=done.object_recall,
            relative_ap=done.pixels.ap / clean.pixels.ap,
            relative_ap_observed=observed.ap / reference.ap if observed and reference else None,
            blind_share=float(done.blind.mean()),
        )

    def _lost(self, name: str, strength: int, clean_blind: np.ndarray) -> LossResult:
        """Each world stands for a camera, its frames for the stretch."""
        worlds = [frame.world for frame in self._frames]
        cameras = list(dict.fromkeys(worlds))
        at = [(worlds[:k].count(world), cameras.index(world)) for k, world in enumerate(worlds)]
        rng = np.random.default_rng([SEED_CORRUPTION, len(PICTURE_CORRUPTIONS) + list(LOSSES).index(name)])
        mask = lost_frames(name, max(t for t, _ in at) + 1, len(cameras), strength, rng)
        lost = np.array([mask[cell] for cell in at])
        black = np.array([_is_blind(np.zeros_like(frame.rgb)) for frame in self._frames])
        declared = np.where(lost, black, clean_blind)
        return LossResult(
            lost_share=float(lost.mean()),
            declared_share=float(declared[lost].mean()) if lost.any() else None,
            wrongly_declared_share=float(declared[~lost].mean()) if not lost.all() else None,
            unobserved_share=float(declared.mean()),
        )


def _is_blind(image: np.ndarray) -> bool:
    return picture_health(image).state is HealthState.BLIND


def evaluate(
    model: Path,
    bank_path: Path,
    method: str,
    protocol: Protocol,
    workers: int,
    cache: Path | None,
    *,
    rig: Path,
    bev_samples: int,
) -> dict[str, Any]:
    """The report of :meth:`CorruptionTest.run` on the protocol's test frames, ``bev`` that of the bird's-eye view, and
    what they were made with."""
    engine, bank, info = engine_and_bank(model, bank_path)
    frames = list(rendered(protocol.test_plans(), "worlds with unknown objects", workers, cache))
    return {
        **CorruptionTest(engine, bank, method, frames).run(),
        "bev": evaluate_bev(engine, rig, bev_samples, workers, cache),
        "protocol": {
            "frames": len(frames),
            "method": method,
            "large_object_patches": LARGE_PATCHES,
            "model": engine.manifest.fingerprint,
            "bank": info.id,
        },
    }


def print_table(report: dict[str, Any]) -> None:
    p, clean = report["protocol"], report["clean"]
    print(f"\n{p['frames']} frames, {p['method']}: clean pixel AP {clean['ap']:.3f}, FPR95 {clean['fpr95']:.1%}")
    print(f"{'AP, of clean, blind':16} {'easy':>20} {'middle':>20} {'hard':>20}")
    for name, by_strength in report["corruptions"].items():
        shown = (f"{c['ap']:.3f} {c['relative_ap']:4.0%} {c['blind_share']:5.1%}" for c in by_strength.values())
        print(f"{name:16}    " + " ".join(f"{s:>20}" for s in shown))
    print(f"at the middle strength at least {report['worst_middle_relative_ap']:.1%} of clean\n\nlost, declared blind")
    for name, by_strength in report["losses"].items():
        shown = (f"{c['lost_share']:.1%} {_percent(c['declared_share'])}" for c in by_strength.values())
        print(f"{name:16}    " + " ".join(f"{s:>20}" for s in shown))
    print_bev_table(report["bev"])


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m eval.apron_corruption", description=__doc__)
    parser.add_argument("--frames", type=int, default=Protocol().frames)
    parser.add_argument("--method", choices=METHODS, default=DEFAULT_METHOD)
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--bank", type=Path, default=None)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=None, help="folder that keeps the rendered frames")
    parser.add_argument("--rig", type=Path, default=RIG, help="of the bird's-eye view")
    parser.add_argument("--bev-frames", type=int, default=BEV_SAMPLES, help="stops of the rig; 0: none of this part")
    parser.add_argument("--json", type=Path, required=True)
    args = parser.parse_args(argv)
    if args.frames < 1 or args.bev_frames < 0:
        parser.error(f"--frames must be at least 1, --bev-frames 0 or more, got {args.frames} and {args.bev_frames}")
    try:
        report = evaluate(
            args.model or embedded_model(),
            args.bank or embedded_bank(),
            args.method,
            Protocol(args.frames),
            args.workers,
            args.cache,
            rig=args.rig,
            bev_samples=args.bev_frames,
        )
        print_table(report)
        write_json(args.json, report)
    except AirsideError as error:
        print(f"eval.apron_corruption: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
