"""What each choice behind the default is worth: ``python -m eval.road ablation --dataset NAME --root DIR --out DIR``.

One choice is changed at a time, everything else as shipped: pixel AP and FPR95 (official kind) on the same frames, the
gain in AP with a bootstrap over frames. Where prototypes are learnt anew they come from the support crops that the bank
keeps: compare them with the shipped number learnt anew, not with the bank itself. A bundle gives its last tokens only;
``--weights training/weights/airside-mini.safetensors`` adds other features of the same network, and the classifier it
was trained with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from airside.bank.bank import PrototypeBank
from airside.bank.prototypes import PROTOTYPES, prototypes_from_tokens, unit
from airside.bank.store import BankStore
from airside.cameras.fit import fit_to_network
from airside.engine.engine import Engine
from airside.engine.onnx import load_engine
from airside.enrolment.enrol import migrate
from airside.errors import InputError
from airside.knowledge import knowledge_from_bank, map_from_tokens
from airside.messages import NetworkInput
from airside.ood.affinity import alike_sums
from airside.ood.logit import logit, sigmoid
from airside.ood.refine import guided_upsample, refined, unmixed, upsample
from airside.pipeline import DEFAULT_METHOD
from airside.progress import Progress
from eval.datasets.frames import KNOWN, UNKNOWN, RoadFrame
from eval.datasets.table import DataSet
from eval.metrics.official import FrameBins, PixelFigures, PooledBins, figures_of, frame_bins
from eval.report_file import write_json, write_text
from eval.road.ablation_page import ablation_page
from eval.road.mini_features import mini_features, trained_classifier
from eval.road.scorers import frame_from_network
from eval.road.support import SupportPatches, support_patches

PROTOTYPE_COUNTS = (1, 2, 4, 8, 16)
TILE_SHARE = 0.6  # of the picture's sides: four tiles that overlap by a fifth make the patch grid 1.7 times finer
BUNDLE, TILES = "bundle", "bundle, four tiles"  # how a variant sees a frame, besides features of their own
RESAMPLES, SEED = 400, 6

Score = Callable[[np.ndarray], np.ndarray]  # tokens [Hp, Wp, C] -> [Hp, Wp] in [0, 1]
Refine = Callable[[np.ndarray, np.ndarray, NetworkInput], np.ndarray]  # scores and tokens of patches -> [H, W]


def _shipped(scores: np.ndarray, tokens: np.ndarray, net: NetworkInput) -> np.ndarray:
    return refined(scores, tokens, net, sharp=True)


def _unmixed(scores: np.ndarray, tokens: np.ndarray, net: NetworkInput) -> np.ndarray:
    return guided_upsample(unmixed(scores, tokens, net.observed), net.image)


def _guided(scores: np.ndarray, tokens: np.ndarray, net: NetworkInput) -> np.ndarray:
    return guided_upsample(scores, net.image)


def _bilinear(scores: np.ndarray, tokens: np.ndarray, net: NetworkInput) -> np.ndarray:
    return upsample(scores, (net.image.shape[0], net.image.shape[1]))


def _nearest(scores: np.ndarray, tokens: np.ndarray, net: NetworkInput) -> np.ndarray:
    return np.asarray(cv2.resize(scores, net.image.shape[1::-1], interpolation=cv2.INTER_NEAREST))


def _affine(scores: np.ndarray, tokens: np.ndarray, net: NetworkInput) -> np.ndarray:
    """Log odds averaged with the neighbours whose tokens agree, then the guided filter."""
    odds = logit(scores)
    total, weight = alike_sums(odds, tokens)
    return guided_upsample(np.asarray(sigmoid((odds + total) / (1 + weight)), np.float32), net.image)


@dataclass(frozen=True, slots=True)
class Variant:
    """The default with one choice changed; ``seen``: which tokens it is given."""

    group: str
    name: str
    score: Score
    refine: Refine = _shipped
    seen: str = BUNDLE


def _score(bank: PrototypeBank, method: str = DEFAULT_METHOD) -> Score:
    way = knowledge_from_bank(bank, "", method)
    return lambda tokens: map_from_tokens(tokens, way).ood_score


def variants(bank: PrototypeBank, support: SupportPatches) -> list[Variant]:
    """Every choice, the shipped one first in its group."""
    shipped = _score(bank)
    no_guard = replace(bank, guard_tokens=bank.guard_tokens[:0], guard_names=())
    counts = (PROTOTYPES, *(c for c in PROTOTYPE_COUNTS if c != PROTOTYPES))
    return [
        Variant("default", "as shipped", shipped),
        *(
            Variant("prototypes", f"{c} learnt anew", _score(_learnt(bank, support, c)))
            for c in counts  # the shipped number first
        ),
        Variant("guard", "none", _score(no_guard)),
        Variant("score", "nearest prototype, not calibrated", _score(bank, "knn")),
        Variant("score", "calibrated per class (tail)", _score(bank, "tail")),
        Variant("score", "one mean a class (prowl)", _score(bank, "prowl")),
        Variant("refinement", "not sharpened", shipped, _unmixed),
        Variant("refinement", "neither sharpened nor unmixed", shipped, _guided),
        Variant("refinement", "bilinear", shipped, _bilinear),
        Variant("refinement", "none, patches", shipped, _nearest),
        Variant("refinement", "token affinity, then guided", shipped, _affine),
        Variant("patch grid", "four tiles, 1.7 times finer", shipped, seen=TILES),
    ]


def feature_variants(bank: PrototypeBank, engines: Mapping[str, Engine], directions: np.ndarray) -> list[Variant]:
    """Other features of the same network, each with a bank embedded again from its crops, the shipped feature first;
    and its own classifier. The default's temperature was chosen for the last tokens, so each feature is also scored by
    its nearest prototype, which has none."""
    found = []
    for feature, engine in engines.items():
        own = migrate(bank, engine)
        found.append(Variant("features", f"{feature}, embedded anew", _score(own), seen=feature))
        found.append(Variant("features", f"{feature}, nearest prototype", _score(own, "knn"), seen=feature))
    axes = unit(directions)
    logits = Variant("score", "max logit of the training's classifier", lambda t: 0.5 - 0.5 * (t @ axes.T).max(axis=-1))
    return [*found, logits]


def _learnt(bank: PrototypeBank, support: SupportPatches, count: int) -> PrototypeBank:
    learnt = [prototypes_from_tokens(support.of_class(k), count) for k in range(len(bank.classes))]
    classes = tuple(replace(known, prototypes=p) for known, p in zip(bank.classes, learnt, strict=True))
    return replace(bank, classes=classes)


def ablation(
    data_set: DataSet, root: Path, model: Path, bank_path: Path, out: Path, *, frames: int | None, weights: Path | None
) -> dict[str, Any]:
    """``out``/ablation.json and ``out``/ablation.html, over ``frames`` of the data set's (``None``: all).

    Raises :class:`InputError` where the frames do not show both known and unknown.
    """
    engine = load_engine(model)
    bank, info = BankStore(bank_path).load()
    bank.require_model(engine.manifest.fingerprint, str(bank_path), str(model))
    features: dict[str, Engine] = {}
    if weights is not None:
        features.update(mini_features(weights, engine))
    chosen_frames = data_set.some_frames(root, frames)
    chosen = variants(bank, support_patches(engine, bank))
    if weights is not None:
        chosen += feature_variants(bank, features, trained_classifier(weights))
    bins = _bins({BUNDLE: engine, **features}, chosen_frames, chosen)
    found = [_figures(b, chosen_frames) for b in bins]
    gains = _gain_intervals(bins)
    report = {
        "dataset": data_set.name,
        "title": data_set.title,
        "frames": len(chosen_frames),
        "model": engine.manifest.fingerprint,
        "bank": info.id,
        "rows": [
            {
                "group": v.group,
                "name": v.name,
                **asdict(f),
                "ap_gain": f.ap - found[0].ap,
                "ap_gain_ci": gain,
                "fpr95_gain": f.fpr95 - found[0].fpr95,
            }
            for v, f, gain in zip(chosen, found, gains, strict=True)
        ],
    }
    write_json(out / "ablation.json", report)
    write_text(out / "ablation.html", ablation_page(report))
    return report


def _bins(
    engines: Mapping[str, Engine], frames: Sequence[RoadFrame], chosen: Sequence[Variant]
) -> list[list[FrameBins]]:
    bins: list[list[FrameBins]] = [[] for _ in chosen]
    with Progress("frames", len(frames)) as progress:
        for frame in frames:
            rgb, label = frame.rgb(), frame.label()
            if rgb.shape[:2] != label.shape:
                raise InputError(f"label {frame.source}: its size is not that of its picture, {list(rgb.shape[:2])}")
            whole = [(0, 0, rgb.shape[0], rgb.shape[1])]
            seen = {name: [_see(engine, rgb, w) for w in whole] for name, engine in engines.items()}
            seen[TILES] = [_see(engines[BUNDLE], rgb, w) for w in _tiles(rgb.shape)]
            for variant, kept in zip(chosen, bins, strict=True):
                scores = _scores(variant, seen[variant.seen], (rgb.shape[0], rgb.shape[1]))
                kept.append(frame_bins(np.sort(scores[label == UNKNOWN]), np.sort(scores[label == KNOWN])))
            progress.step()
    return bins


def _figures(bins: Sequence[FrameBins], frames: Sequence[RoadFrame]) -> PixelFigures:
    curve = PooledBins(bins).curve()
    if curve is None:
        raise InputError(f"{len(frames)} frames, the first {frames[0].source}, do not show both known and unknown")
    return figures_of(curve)


def _gain_intervals(bins: Sequence[Sequence[FrameBins]]) -> list[list[float] | None]:
    """95 % percentile bootstrap of each variant's AP less the first one's, over frames and paired: both are measured on
    the same draw. ``None`` for one frame."""
    count = len(bins[0])
    if count < 2:
        return [None for _ in bins]
    pooled = [PooledBins(b) for b in bins]
    rng = np.random.default_rng(SEED)
    drawn = []
    with Progress("resamples", RESAMPLES) as progress:
        for _ in range(RESAMPLES):
            weight = np.bincount(rng.integers(count, size=count), minlength=count)
            curves = [p.curve(weight) for p in pooled]
            if all(c is not None for c in curves):
                drawn.append([figures_of(c).ap for c in curves if c is not None])
            progress.step()
    if not drawn:
        return [None for _ in bins]
    gains = np.array(drawn) - np.array(drawn)[:, :1]
    return [[float(q) for q in np.quantile(g, (0.025, 0.975))] for g in gains.T]


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
        scores = np.asarray(variant.score(tokens), np.float32)
        back = frame_from_network(variant.refine(scores, tokens, net), net, (bottom - top, right - left))
        total[top:bottom, left:right] += back
        weight[top:bottom, left:right] += 1
    return np.asarray(total / weight)


def lines(report: dict[str, Any]) -> list[str]:
    """For people."""
    head = f"{'':46} {'AP':>6} {'gain':>7} {'95 % of the gain':>16} {'FPR95':>6} {'':>7}"
    out = [f"{report['frames']} frames of {report['dataset']}", head]
    for row in report["rows"]:
        interval = "" if row["ap_gain_ci"] is None else "{:+.3f} {:+.3f}".format(*row["ap_gain_ci"])
        figures = (
            f"{row['ap']:6.3f} {row['ap_gain']:+7.3f} {interval:>16} {row['fpr95']:6.3f} {row['fpr95_gain']:+7.3f}"
        )
        out.append(f"{row['group'] + ': ' + row['name']:46} {figures}")
    return out
