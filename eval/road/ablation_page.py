"""The ablation as one HTML page that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

from eval.road.charts import difference_chart
from eval.road.page import page
from eval.road.tables import headings, number, table


def ablation_page(report: Mapping[str, Any]) -> str:
    """``report``: of :func:`eval.road.ablation.ablation`."""
    rows = report["rows"]
    base = rows[0]
    lead = (
        f"{report['frames']} frames. As shipped: AP {base['ap']:.3f}, FPR95 {base['fpr95']:.3f}. Every other row "
        "changes one choice. The interval is a paired 95 % bootstrap over frames: where it spans 0, the frames do not "
        "tell."
    )
    gains = [(f"{r['group']}: {r['name']}", r["ap_gain"], r["ap_gain_ci"]) for r in rows[1:]]
    return page(
        f"{report['title']}: ablation",
        "The default with one choice changed at a time, everything else as shipped",
        [
            ("Change of average precision", lead, difference_chart("change of AP", gains)),
            (
                "Every choice",
                "Prototypes learnt anew and features embedded anew come from the crops the bank keeps: compare them "
                "with the first row of their group, which is the shipped choice made the same way.",
                _table(rows),
            ),
        ],
        f"data set {report['dataset']}; model {report['model']}; bank {report['bank']}",
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    cells = []
    for group, members in groupby(rows, key=lambda row: row["group"]):
        for k, row in enumerate(members):
            interval = "" if row["ap_gain_ci"] is None else "{:+.3f} – {:+.3f}".format(*row["ap_gain_ci"])
            cells.append(
                [
                    escape(group) if k == 0 else "",
                    escape(row["name"]),
                    number(row["ap"]),
                    f'{row["ap_gain"]:+.3f}<span class="ci">{interval}</span>',
                    number(row["fpr95"]),
                    f"{row['fpr95_gain']:+.3f}",
                    number(row["auroc"]),
                    number(row["best_f1"]),
                ]
            )
    ap, fpr95, auroc, f1 = headings(["ap", "fpr95", "auroc", "best_f1"])
    return table(["choice", "made", ap, "change", fpr95, "change", auroc, f1], cells, "left2")
