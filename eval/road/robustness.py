"""How a method holds under bad pictures: ``python -m eval.road robustness --dataset NAME --root DIR --out DIR``.

The six picture corruptions of nuScenes-C, rain and de-icing spray, each at three strengths, on any data set: pixel AP
and FPR95 (official kind), relative to clean. The two that take pictures away (a crashed camera, lost frames) leave no
AP: what is asked is that health declares each black picture BLIND.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from airside.bank.store import BankStore
from airside.engine.engine import Engine
from airside.engine.onnx import load_engine
from airside.errors import InputError
from airside.health import picture_health
from airside.messages import HealthState
from airside.progress import Progress
from eval.datasets.frames import KNOWN, UNKNOWN, RoadFrame
from eval.datasets.table import DataSet
from eval.metrics.official import FrameBins, PixelFigures, PooledBins, figures_of, frame_bins
from eval.report_file import write_json, write_text
from eval.road import tables
from eval.road.charts import Line, chart
from eval.road.page import page
from eval.road.peers import PatchScore
from eval.road.scorers import patch_scorers, score_maps
from eval.road.support import support_patches
from eval.weather import WEATHERS, weathered
from training.corruptions import LOSSES, PICTURE_CORRUPTIONS, STRENGTHS, corrupt, lost_frames

SEED = 12_000_000
STRENGTH_WORDS = ("clean", "easy", "middle", "hard")
LOST_CAMERAS = 6

Spoil = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
SPOILED: dict[str, Spoil] = {
    **{
        name: (lambda rgb, strength, rng, name=name: corrupt(rgb, name, strength, rng))  # type: ignore[misc]
        for name in PICTURE_CORRUPTIONS
    },
    **{
        name: (lambda rgb, strength, rng, name=name: weathered(rgb, name, strength, rng))  # type: ignore[misc]
        for name in WEATHERS
    },
}


@dataclass(frozen=True, slots=True)
class Walked:
    """All frames once, spoiled one way."""

    figures: PixelFigures
    blind_share: float  # of the frames: health says so


def robustness(
    data_set: DataSet, root: Path, model: Path, bank_path: Path, method: str, out: Path, *, frames: int | None = None
) -> dict[str, Any]:
    """``out``/robustness.json and ``out``/robustness.html, over ``frames`` of the data set's (``None``: all).

    Raises :class:`InputError` where the frames do not show both known and unknown.
    """
    engine = load_engine(model)
    bank, info = BankStore(bank_path).load()
    bank.require_model(engine.manifest.fingerprint, str(bank_path), str(model))
    shown = data_set.some_frames(root, frames)
    scorers = patch_scorers(bank, [method], lambda: support_patches(engine, bank))
    with Progress("pictures, clean and spoiled", len(shown) * (1 + len(SPOILED) * len(STRENGTHS))) as progress:
        clean = _walk(engine, scorers, shown, lambda rgb, k: rgb, progress)
        spoiled = {
            name: [_walk(engine, scorers, shown, _spoiler(spoil, kind, strength), progress) for strength in STRENGTHS]
            for kind, (name, spoil) in enumerate(SPOILED.items())
        }
    report = {
        "dataset": data_set.name,
        "title": data_set.title,
        "frames": len(shown),
        "method": method,
        "model": engine.manifest.fingerprint,
        "bank": info.id,
        "clean": _row(clean, clean),
        "corruptions": {
            name: {str(s): _row(w, clean) for s, w in zip(STRENGTHS, walks, strict=True)}
            for name, walks in spoiled.items()
        },
        "losses": {name: {str(s): _lost(name, s, shown) for s in STRENGTHS} for name in LOSSES},
    }
    write_json(out / "robustness.json", report)
    write_text(out / "robustness.html", _page(report))
    return report


def _spoiler(spoil: Spoil, kind: int, strength: int) -> Callable[[np.ndarray, int], np.ndarray]:
    return lambda rgb, k: spoil(rgb, strength, np.random.default_rng([SEED, kind, k]))  # alike at every strength


def _walk(
    engine: Engine,
    scorers: dict[str, PatchScore],
    frames: Sequence[RoadFrame],
    spoil: Callable[[np.ndarray, int], np.ndarray],
    progress: Progress,
) -> Walked:
    bins: list[FrameBins] = []
    blind = 0
    for k, frame in enumerate(frames):
        rgb, label = spoil(frame.rgb(), k), frame.label()
        if rgb.shape[:2] != label.shape:
            raise InputError(f"label {frame.source}: its size is not that of its picture, {list(rgb.shape[:2])}")
        blind += picture_health(rgb).state is HealthState.BLIND
        (scores,) = score_maps(engine, scorers, rgb).values()
        bins.append(frame_bins(np.sort(scores[label == UNKNOWN]), np.sort(scores[label == KNOWN])))
        progress.step()
    curve = PooledBins(bins).curve()
    if curve is None:
        raise InputError(f"{len(frames)} frames, the first {frames[0].source}, do not show both known and unknown")
    return Walked(figures_of(curve), blind / len(frames))


def _row(walked: Walked, clean: Walked) -> dict[str, float]:
    return {
        "ap": walked.figures.ap,
        "fpr95": walked.figures.fpr95,
        "relative_ap": walked.figures.ap / clean.figures.ap,
        "blind_share": walked.blind_share,
    }


def _lost(name: str, strength: int, frames: Sequence[RoadFrame]) -> dict[str, float]:
    """Of six cameras over as many ticks as there are frames: black pictures, and the share of them declared."""
    rng = np.random.default_rng([SEED, len(SPOILED) + list(LOSSES).index(name)])
    lost = lost_frames(name, len(frames), LOST_CAMERAS, strength, rng)
    black = picture_health(np.zeros_like(frames[0].rgb())).state is HealthState.BLIND
    return {"lost_share": float(lost.mean()), "declared_share": float(black)}


def _page(report: dict[str, Any]) -> str:
    names = list(report["corruptions"])
    x = np.arange(4) / 3
    lines = [
        Line(n, x, np.array([report["clean"]["ap"], *(c["ap"] for c in report["corruptions"][n].values())]))
        for n in names
    ]
    ticks = list(zip(x.tolist(), STRENGTH_WORDS, strict=True))
    legend = "".join(f"<span>{tables.method_name(n.replace('_', ' '), k)}</span>" for k, n in enumerate(names))
    drawn = chart("AP by strength", "strength", "average precision", lines, x_ticks=ticks)
    rows = []
    for k, name in enumerate(names):
        cells = [tables.method_name(name.replace("_", " "), k)]
        for cell in report["corruptions"][name].values():
            small = f"{cell['relative_ap']:.0%} of clean · FPR95 {cell['fpr95']:.3f} · blind {cell['blind_share']:.0%}"
            cells.append(f'{tables.number(cell["ap"])}<span class="ci">{small}</span>')
        rows.append(cells)
    for name, cells in report["losses"].items():
        words = [f"{c['lost_share']:.0%} of the pictures lost" for c in cells.values()]
        shares = [f'<span class="ci">declared blind: {c["declared_share"]:.0%}</span>' for c in cells.values()]
        rows.append([escape(name.replace("_", " ")), *(w + s for w, s in zip(words, shares, strict=True))])
    clean = report["clean"]
    lead = (
        f"{report['frames']} frames, method {report['method']}: clean AP {clean['ap']:.3f}, FPR95 {clean['fpr95']:.3f}."
    )
    head = [f"AP, {w}" for w in STRENGTH_WORDS[1:]]
    return page(
        f"{report['title']}: robustness",
        "Pictures spoiled on purpose, everything else as it was",
        [
            (
                "Average precision by strength",
                lead,
                f'<div class="legend">{legend}</div><div class="half">{drawn}</div>',
            ),
            (
                "Every corruption",
                "A picture taken away has no score: health must declare it blind, so that its view counts as "
                "unobserved.",
                tables.table(["corruption", *head], rows),
            ),
        ],
        f"model {report['model']}; bank {report['bank']}",
    )
