"""What each choice behind the default is worth: ``python -m eval.road ablation --dataset NAME --root DIR --out DIR``.

One choice is changed at a time, everything else as shipped: pixel AP and FPR95 (official kind) on the same frames.
Where prototypes are learnt anew they come from the support crops that the bank keeps: compare them with the shipped
number learnt anew, not with the bank itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from airside.bank.bank import PrototypeBank
from airside.bank.prototypes import PROTOTYPES, prototypes_from_tokens
from airside.bank.store import BankStore
from airside.cameras.fit import fit_to_network
from airside.engine.engine import Engine
from airside.engine.onnx import load_engine
from airside.errors import InputError
from airside.knowledge import Knowledge, knowledge_from_bank, map_from_tokens
from airside.messages import NetworkInput
from airside.ood.affinity import neighbour_cosines
from airside.ood.logit import logit, sigmoid
from airside.ood.refine import guided_upsample, upsample
from airside.pipeline import DEFAULT_METHOD
from airside.progress import Progress
from eval.datasets.frames import KNOWN, UNKNOWN, RoadFrame
from eval.datasets.table import DataSet
from eval.metrics.official import FrameBins, PixelFigures, PooledBins, figures_of, frame_bins
from eval.report_file import write_json
from eval.road.scorers import frame_from_network
from eval.road.support import SupportPatches, support_patches

PROTOTYPE_COUNTS = (1, 2, 4, 8, 16)
TILE_SHARE = 0.6  # of the picture's sides: four tiles that overlap by a fifth make the patch grid 1.7 times finer

Refine = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # scores and tokens of patches, image -> [H, W]


def _guided(scores: np.ndarray, tokens: np.ndarray, image: np.ndarray) -> np.ndarray:
    return guided_upsample(scores, image)


def _bilinear(scores: np.ndarray, tokens: np.ndarray, image: np.ndarray) -> np.ndarray:
    return upsample(scores, (image.shape[0], image.shape[1]))


def _nearest(scores: np.ndarray, tokens: np.ndarray, image: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(scores, image.shape[1::-1], interpolation=cv2.INTER_NEAREST))


def _affine(scores: np.ndarray, tokens: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Log odds averaged with the neighbours whose tokens agree, then the guided filter."""
    odds = logit(scores)
    total, weight = odds.copy(), np.ones_like(odds)
    for here, there, cosine in neighbour_cosines(tokens):
        tie = np.clip(cosine, 0, 1) ** 2
        for a, b in ((here, there), (there, here)):
            total[a] += tie * odds[b]
            weight[a] += tie
    return guided_upsample(np.asarray(sigmoid(total / weight), np.float32), image)


@dataclass(frozen=True, slots=True)
class Variant:
    """The default with one choice changed."""

    group: str
    name: str
    way: Knowledge
    refine: Refine = _guided
    tiled: bool = False


def variants(bank: PrototypeBank, support: SupportPatches) -> list[Variant]:
    """Every choice, the shipped one first in its group."""

    def way(method: str = DEFAULT_METHOD, of: PrototypeBank = bank) -> Knowledge:
        return knowledge_from_bank(of, "", method)

    shipped = way()
    no_guard = replace(bank, guard_tokens=bank.guard_tokens[:0], guard_names=())
    counts = (PROTOTYPES, *(c for c in PROTOTYPE_COUNTS if c != PROTOTYPES))
    return [
        Variant("default", "as shipped", shipped),
        *(
            Variant("prototypes", f"{c} learnt anew", way(of=_learnt(bank, support, c)))
            for c in counts  # the shipped number first
        ),
        Variant("guard", "none", way(of=no_guard)),
        Variant("score", "nearest prototype, not calibrated", way("knn")),
        Variant("score", "calibrated per class (tail)", way("tail")),
        Variant("score", "one mean a class (prowl)", way("prowl")),
        Variant("refinement", "bilinear", shipped, _bilinear),
        Variant("refinement", "none, patches", shipped, _nearest),
        Variant("refinement", "token affinity, then guided", shipped, _affine),
        Variant("patch grid", "four tiles, 1.7 times finer", shipped, tiled=True),
    ]


def _learnt(bank: PrototypeBank, support: SupportPatches, count: int) -> PrototypeBank:
    learnt = [prototypes_from_tokens(support.of_class(k), count) for k in range(len(bank.classes))]
    classes = tuple(replace(known, prototypes=p) for known, p in zip(bank.classes, learnt, strict=True))
    return replace(bank, classes=classes)


def ablation(data_set: DataSet, root: Path, model: Path, bank_path: Path, out: Path) -> dict[str, Any]:
    """``out``/ablation.json. Raises :class:`InputError` where the frames do not show both known and unknown."""
    engine = load_engine(model)
    bank, info = BankStore(bank_path).load()
    bank.require_model(engine.manifest.fingerprint, str(bank_path), str(model))
    frames = data_set.frames(root)
    chosen = variants(bank, support_patches(engine, bank))
    found = _figures(engine, frames, chosen)
    base = found[0]
    report = {
        "dataset": data_set.name,
        "frames": len(frames),
        "model": engine.manifest.fingerprint,
        "bank": info.id,
        "rows": [
            {
                "group": v.group,
                "name": v.name,
                **asdict(f),
                "ap_gain": f.ap - base.ap,
                "fpr95_gain": f.fpr95 - base.fpr95,
            }
            for v, f in zip(chosen, found, strict=True)
        ],
    }
    write_json(out / "ablation.json", report)
    return report


def _figures(engine: Engine, frames: Sequence[RoadFrame], chosen: Sequence[Variant]) -> list[PixelFigures]:
    bins: list[list[FrameBins]] = [[] for _ in chosen]
    with Progress("frames", len(frames)) as progress:
        for frame in frames:
            rgb, label = frame.rgb(), frame.label()
            if rgb.shape[:2] != label.shape:
                raise InputError(f"label {frame.source}: its size is not that of its picture, {list(rgb.shape[:2])}")
            whole, tiles = [(0, 0, rgb.shape[0], rgb.shape[1])], _tiles(rgb.shape)
            seen = {tiled: [_see(engine, rgb, w) for w in (tiles if tiled else whole)] for tiled in (False, True)}
            for variant, kept in zip(chosen, bins, strict=True):
                scores = _scores(variant, seen[variant.tiled], (rgb.shape[0], rgb.shape[1]))
                kept.append(frame_bins(np.sort(scores[label == UNKNOWN]), np.sort(scores[label == KNOWN])))
            progress.step()
    curves = [PooledBins(kept).curve() for kept in bins]
    if any(c is None for c in curves):
        raise InputError(f"{len(frames)} frames, the first {frames[0].source}, do not show both known and unknown")
    return [figures_of(c) for c in curves if c is not None]


Window = tuple[int, int, int, int]  # top, left, bottom, right
Seen = tuple[Window, NetworkInput, np.ndarray]  # what the network made of it


def _tiles(shape: tuple[int, ...]) -> list[Window]:
    height, width = round(TILE_SHARE * shape[0]), round(TILE_SHARE * shape[1])
    return [(t, x, t + height, x + width) for t in (0, shape[0] - height) for x in (0, shape[1] - width)]


def _see(engine: Engine, rgb: np.ndarray, window: Window) -> Seen:
    top, left, bottom, right = window
    m = engine.manifest
    net = fit_to_network(rgb[top:bottom, left:right], m.height_px, m.width_px, m.patch_px)
    return window, net, engine.tokens(net.image[None])[0]


def _scores(variant: Variant, seen: Sequence[Seen], shape: tuple[int, int]) -> np.ndarray:
    """Tiles are averaged where they overlap: [H, W] float32."""
    total, weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for (top, left, bottom, right), net, tokens in seen:
        scores = map_from_tokens(tokens, variant.way).ood_score
        back = frame_from_network(variant.refine(scores, tokens, net.image), net, (bottom - top, right - left))
        total[top:bottom, left:right] += back
        weight[top:bottom, left:right] += 1
    return np.asarray(total / weight)


def lines(report: dict[str, Any]) -> list[str]:
    """For people."""
    out = [f"{report['frames']} frames of {report['dataset']}", f"{'':44} {'AP':>6} {'':>7} {'FPR95':>6} {'':>7}"]
    for row in report["rows"]:
        name = f"{row['group']}: {row['name']}"
        out.append(f"{name:44} {row['ap']:6.3f} {row['ap_gain']:+7.3f} {row['fpr95']:6.3f} {row['fpr95_gain']:+7.3f}")
    return out
