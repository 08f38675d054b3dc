"""The run as one HTML page that needs nothing beside it: tables, curves, the best and the worst frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from eval.datasets.frames import RoadFrame
from eval.metrics.components import ComponentSizes
from eval.metrics.official import PooledBins
from eval.report_file import write_text
from eval.road import tables
from eval.road.charts import Line, chart, interval_chart
from eval.road.frame_pictures import PREDICTED_RGB, TRUE_RGB, HeatRange, frame_pictures, heat_bar
from eval.road.measure import Measured
from eval.road.page import Section, page
from eval.road.predictions import Predictions, read_scores
from eval.road.summary import frame_quality

SHOWN_FRAMES = 3  # best, and as many worst

NOTES = {
    "official": "Pixels pooled over frames through per-frame percentile bins, as the SegmentMeIfYouCan benchmark "
    "publishes them. All plain figures here are of this kind, so that they can be read beside its tables.",
    "exact": "Every pixel of every frame pooled, no bins.",
    "AP": "Area under the precision-recall curve, by steps. A random score has the share of unknown pixels.",
    "FPR95": "Share of known pixels that score at least as high as the threshold that finds 95 % of the unknown.",
    "sIoU": "Overlap of each true component with the predictions that touch it, over their union without other true "
    "components; mean over true components at the threshold of the best pixel F1.",
    "PPV": "Share of each predicted component that is truly unknown; mean over predicted components.",
    "F1 mean": "Component F1, averaged over sIoU thresholds 0.25, 0.30 ... 0.75.",
    "intervals": "95 % percentile bootstrap over frames. Frames of one scene resemble each other: the intervals are "
    "then too narrow. Two methods on the same frames can differ for certain although their intervals overlap.",
}


def write_report(
    path: Path,
    report: Mapping[str, Any],
    measured: Mapping[str, Measured],
    frames: Sequence[RoadFrame],
    predictions: Mapping[str, Predictions],
) -> None:
    """``report`` as ``metrics.json`` holds it. Raises :class:`StorageError` where the page cannot be written."""
    methods = report["methods"]
    order = sorted(methods, key=lambda name: -methods[name]["ap"])
    sections: list[Section] = [
        ("Results", _lead(report), tables.main_table(methods, order)),
        ("Average precision with its interval", "", _intervals(methods, order)),
        ("Curves", "", _curves(methods, measured, order)),
        _frames_section(report, measured, order[0], frames, predictions),
        (
            "Beside published results",
            "As their authors report them; nothing of others was run again here. Compare with care: backbones, "
            "training data and frames differ.",
            tables.published_table(report["dataset"], methods, order),
        ),
        (
            "By condition",
            f"{', '.join(tables.leading(order))}; metrics.json has all methods.",
            tables.condition_table(methods, order),
        ),
        (
            "Components",
            "Small print: found / missed / false components at each threshold.",
            tables.component_table(methods, order),
        ),
        (
            "Exact pooling",
            "Without percentile bins; small print: the difference to the official kind.",
            tables.exact_table(methods, order),
        ),
        ("What the figures mean", "", _notes()),
    ]
    best = methods[order[0]]
    share = best["unknown_pixels"] / (best["unknown_pixels"] + best["known_pixels"])
    facts = (
        (str(report["frames"]), "labelled frames"),
        (f"{share:.1%}", "of their pixels are unknown"),
        (tables.number(best["ap"]), f"best AP: {order[0]}"),
        (tables.number(best["fpr95"]), f"its FPR95, F1 mean {tables.number(best['f1_mean'])}"),
    )
    subtitle = f"Unknown objects, pixel by pixel: {len(methods)} methods on the same frames"
    write_text(path, page(report["title"], subtitle, sections, _footer(report), facts))


def _lead(report: Mapping[str, Any]) -> str:
    bootstrap = report["bootstrap"]
    return (
        f"Fractions from 0 to 1, official kind; in small print the {bootstrap['confidence']:.0%} interval over frames "
        f"({bootstrap['resamples']} resamples). Best of each column in blue."
    )


def _intervals(methods: Mapping[str, Any], order: Sequence[str]) -> str:
    rows = [(name, k, methods[name]["ap"], methods[name]["ci"]["ap"]) for k, name in enumerate(order)]
    return interval_chart("average precision", rows)


def _curves(methods: Mapping[str, Any], measured: Mapping[str, Measured], order: Sequence[str]) -> str:
    precision, roc = [], []
    for name in order:
        curve = PooledBins(measured[name].bins).curve()
        assert curve is not None  # measure refuses before
        precision.append(Line(name, np.append(0.0, curve.recall), np.append(curve.precision[0], curve.precision)))
        roc.append(Line(name, np.append(0.0, curve.false_positive_rate), np.append(0.0, curve.recall)))
    m = methods[order[0]]
    chance = m["unknown_pixels"] / (m["unknown_pixels"] + m["known_pixels"])
    legend = "".join(f"<span>{tables.method_name(name, k)}</span>" for k, name in enumerate(order))
    return (
        f'<div class="legend">{legend}</div><div class="charts"><div><h3>Precision and recall</h3>'
        f"{chart('precision and recall', 'recall', 'precision', precision, (chance, 'chance'))}</div>"
        "<div><h3>Receiver operating characteristic</h3>"
        f"{chart('ROC', 'false positive rate', 'true positive rate', roc, (0.95, 'FPR95 is read here'))}</div></div>"
    )


def _frames_section(
    report: Mapping[str, Any],
    measured: Mapping[str, Measured],
    method: str,
    frames: Sequence[RoadFrame],
    predictions: Mapping[str, Predictions],
) -> Section:
    found = measured[method]
    quality = frame_quality(found)
    told = sorted((k for k, q in enumerate(quality) if not math.isnan(q)), key=lambda k: quality[k])
    worst = told[: min(SHOWN_FRAMES, (len(told) + 1) // 2)]
    best = [k for k in told[::-1][:SHOWN_FRAMES] if k not in worst]
    sizes = ComponentSizes(**report["component_sizes"])
    heat = HeatRange.of(found.bins)
    parts = [_keys(method, heat)]
    for word, chosen in (("worst", worst), ("best", best)):
        for place, k in enumerate(chosen, 1):
            label = frames[k].label()
            scores = read_scores(predictions[method].path(frames[k].name), (label.shape[0], label.shape[1]))
            outlined, hot = frame_pictures(frames[k].rgb(), label, scores, found.threshold, sizes, heat)
            components = found.components[k]
            count = f"{len(components.siou)} true, {len(components.ppv)} predicted components"
            title = f"{word} {place}: {escape(frames[k].name)}<span>AP of the frame {quality[k]:.3f} · {count}</span>"
            parts.append(
                f'<div class="frame"><h3>{title}</h3><div class="pair">'
                f'<img alt="outlines" src="{outlined}"><img alt="heat map" src="{hot}"></div></div>'
            )
    return (
        f"Worst and best frames of {method}",
        "Frames with both known and unknown pixels, by their own AP.",
        "".join(parts),
    )


def _keys(method: str, heat: HeatRange) -> str:
    def line(colour: tuple[int, int, int], words: str) -> str:
        return f'<span class="key"><i style="border-color: rgb{colour}"></i>{words}</span>'

    return (
        f'<div class="keys">{line(TRUE_RGB, "truly unknown")}'
        f"{line(PREDICTED_RGB, 'predicted, at the threshold of the best pixel F1')}"
        f'<span>score {heat.low:.3g}<img alt="scale" src="{heat_bar()}">{heat.high:.3g}; '
        "ignored pixels are dark</span></div>"
    )


def _notes() -> str:
    return (
        '<dl class="notes">' + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in NOTES.items()) + "</dl>"
    )


def _footer(report: Mapping[str, Any]) -> str:
    made = [f"data set {report['dataset']} at {report['root']}"]
    made += [f"{k.replace('_', ' ')} {report[k]}" for k in ("model_name", "model", "bank") if k in report]
    sizes = report["component_sizes"]
    made.append(
        f"components under {sizes['predicted_px']} px (predicted) and {sizes['true_px']} px (true) do not count"
    )
    return "; ".join(made)
