"""The bank report as one HTML page that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from eval.road.charts import interval_chart, matrix_chart
from eval.road.page import Section, page
from eval.road.tables import table
from prototypes.bank_report import OWN_LEVEL, THIN_EXPLAINED

_COVERED, _MISSED = 0, 1  # colours


def report_page(found: Mapping[str, Any]) -> str:
    """``found``: of :func:`prototypes.bank_report.bank_report`."""
    classes, unknown = found["classes"], found["unknown_to_bank"]
    thin = [name for name, row in classes.items() if row["thin"]]
    facts = [
        (str(len(classes)), f"known classes shown in {found['pictures']} pictures"),
        (_mean(classes, "coverage"), "of their patches covered, mean over classes"),
        (str(len(thin)), f"thin classes: {', '.join(thin)}" if thin else "thin classes"),
    ]
    if unknown:
        facts.append((_mean(unknown, "missed"), f"of the patches of {len(unknown)} unknown names missed, mean"))
    state = "" if found["calibrated"] else ", not calibrated"
    sections: list[Section] = [
        (
            "Known classes",
            "Covered: does not alarm at the threshold. Explains: lies above the similarity that "
            f"{1 - OWN_LEVEL:.0%} of the class's own held-out patches reach; under {THIN_EXPLAINED:.0%} "
            "the class is thin.",
            _known(classes),
        ),
        ("Coverage", "Share of each class's patches that do not alarm.", _bars(classes, "coverage", _COVERED)),
        (
            "What it would miss",
            "Names the bank does not hold: the share of their patches without alarm, and what they are taken for.",
            _unknown(unknown) + (_bars(unknown, "missed", _MISSED) if unknown else ""),
        ),
        (
            "Which class takes the unknown in",
            "Share of all patches of unknown names that pass as known under each class's name.",
            _missed(found["missed_by_class"]),
        ),
        (
            "The bank's own guard",
            "Guard patches one by one, without their neighbours: those that pass under a name that is not their own.",
            _unknown(found["guard"]),
        ),
        ("Confusions", "Per cent of each row's patches that are called by each class.", _confusion(found)),
    ]
    title = f"Bank report: {found['dataset']}"
    subtitle = f"Method {found['method']} at {found['threshold']:.3f}{state}; patches of which 70 % or more is one name"
    footer = f"bank {found['bank']}; model {found['model']}"
    return page(title, subtitle, sections, footer, facts, made_by="python -m prototypes report")


def _mean(rows: Mapping[str, Any], figure: str) -> str:
    return f"{np.mean([row[figure] for row in rows.values()]):.1%}" if rows else "–"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _taken(row: Mapping[str, Any]) -> str:
    return escape(", ".join(f"{n} {s:.0%}" for n, s in row["taken_for"].items()))


def _known(classes: Mapping[str, Any]) -> str:
    rows = [
        [
            escape(name),
            f"{row['patches']:,}",
            _share(row["named_right"]),
            _share(row["coverage"]),
            _share(row["explained"]),
            _taken(row) + "".join(f'<span class="ci">thin: {escape(reason)}</span>' for reason in row["thin"]),
        ]
        for name, row in classes.items()
    ]
    head = ["class", "patches", "named right", "covered", "explains", "taken for"]
    return table(head, rows, "left6") if rows else ""


def _unknown(unknown: Mapping[str, Any]) -> str:
    rows = [
        [escape(name), f"{row['patches']:,}", _share(row["missed"]), _taken(row)]
        for name, row in sorted(unknown.items(), key=lambda item: -item[1]["missed"])
    ]
    return table(["name", "patches", "missed", "taken for"], rows, "left4") if rows else ""


def _missed(by_class: Mapping[str, Any]) -> str:
    rows = [
        [escape(name), _share(row["share"]), escape(", ".join(f"{n} ({c})" for n, c in row["of"].items()))]
        for name, row in by_class.items()
    ]
    return table(["class", "takes in", "most of all (patches)"], rows, "left3") if rows else ""


def _bars(rows: Mapping[str, Any], figure: str, colour: int) -> str:
    ordered = sorted(rows.items(), key=lambda item: item[1][figure])
    return interval_chart(figure, [(name, colour, row[figure], None) for name, row in ordered]) if ordered else ""


def _confusion(found: Mapping[str, Any]) -> str:
    columns = [*found["classes"], *found["not_shown"]]
    rows = [*found["classes"], *found["unknown_to_bank"]]
    shares = np.array([[found["confusion"][r].get(c, 0.0) for c in columns] for r in rows])
    return matrix_chart("confusions", rows, columns, shares) if rows else ""
