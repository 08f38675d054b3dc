"""The report's tables as HTML, every figure with its interval where it has one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from eval.road.charts import swatch
from eval.road.published import PUBLISHED

# figure -> heading and whether more is better
COLUMNS: dict[str, tuple[str, bool]] = {
    "ap": ("AP", True),
    "auroc": ("AUROC", True),
    "fpr95": ("FPR95", False),
    "best_f1": ("best F1", True),
    "best_iou": ("IoU", True),
    "siou": ("sIoU", True),
    "ppv": ("PPV", True),
    "f1_mean": ("F1 mean", True),
}
LEADING = 3
ALWAYS_SHOWN = ("default", "prowl")
EXACT_COLUMNS = ("ap", "auroc", "fpr95", "best_f1", "best_iou")


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    """Cells are HTML already; the first column is the row's name."""
    top = "".join(f"<th>{h}</th>" for h in head)
    body = "".join("<tr>" + "".join(_cell(k, c) for k, c in enumerate(row)) + "</tr>" for row in rows)
    return f'<div class="scroll"><table class="{kind}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(column: int, words: str) -> str:
    return f'<th scope="row">{words}</th>' if column == 0 else f"<td>{words}</td>"


def headings(names: Sequence[str]) -> list[str]:
    return [f'{COLUMNS[n][0]} <span class="way">{"↑" if COLUMNS[n][1] else "↓"}</span>' for n in names]


def marked_best(values: Sequence[float | None], figure: str) -> Callable[[float | None], str]:
    """How a cell shows its number: the best of ``values`` in bold, ties too."""
    there = [v for v in values if v is not None]
    best = (max if COLUMNS[figure][1] else min)(there) if len(there) > 1 else None
    return lambda v: f"<b>{number(v)}</b>" if v is not None and v == best else number(v)


def method_name(name: str, index: int) -> str:
    return f"{swatch(index)} {escape(name)}"


def main_table(methods: dict[str, Any], order: Sequence[str]) -> str:
    """Every figure of the official kind, its interval below."""
    show = {f: marked_best([methods[m][f] for m in order], f) for f in COLUMNS}
    rows = []
    for index, name in enumerate(order):
        cells = [method_name(name, index)]
        for figure in COLUMNS:
            interval = methods[name]["ci"][figure]
            small = "" if interval is None else f'<span class="ci">{interval[0]:.3f} – {interval[1]:.3f}</span>'
            cells.append(show[figure](methods[name][figure]) + small)
        rows.append(cells)
    return table(["method", *headings(list(COLUMNS))], rows)


def exact_table(methods: dict[str, Any], order: Sequence[str]) -> str:
    """Exact pooling, with the difference to the official figure."""
    rows = []
    for index, name in enumerate(order):
        cells = [method_name(name, index)]
        for figure in EXACT_COLUMNS:
            exact, official = methods[name]["exact"][figure], methods[name][figure]
            cells.append(f'{number(exact)}<span class="ci">{exact - official:+.4f}</span>')
        rows.append(cells)
    return table(["method", *headings(EXACT_COLUMNS)], rows)


def component_table(methods: dict[str, Any], order: Sequence[str]) -> str:
    """Found, missed and false components at three thresholds, and the F1 there."""
    rows = []
    for index, name in enumerate(order):
        m = methods[name]
        cells = [method_name(name, index), f"{m['best_f1_threshold']:.4g}"]
        for at, place in (("0.25", 0), ("0.50", 5), ("0.75", 10)):
            counts = " / ".join(str(m["components"][kind][place]) for kind in ("tp", "fn", "fp"))
            cells.append(f'{number(m["f1"][at])}<span class="ci">{counts}</span>')
        rows.append(cells)
    return table(["method", "threshold", "F1 at 0.25", "F1 at 0.50", "F1 at 0.75"], rows)


def condition_table(methods: dict[str, Any], order: Sequence[str]) -> str:
    """One block a condition, one row for each of :func:`leading`; empty where there is one condition."""
    rows = []
    for condition in methods[order[0]]["by_condition"]:
        of = {m: methods[m]["by_condition"][condition] for m in leading(order)}
        show = {f: marked_best([row[f] for row in of.values()], f) for f in COLUMNS}
        for name in of:
            index = order.index(name)
            first = (
                f'{escape(condition)} <span class="ci">{of[name]["frames"]} frames</span>' if name == order[0] else ""
            )
            rows.append([first, method_name(name, index), *(show[f](of[name][f]) for f in COLUMNS)])
    return table(["condition", "method", *headings(list(COLUMNS))], rows, "left2") if rows else ""


def leading(order: Sequence[str]) -> list[str]:
    """The first :data:`LEADING` methods and, wherever they stand, those that airside is compared by."""
    return [m for k, m in enumerate(order) if k < LEADING or m in ALWAYS_SHOWN]


def published_table(dataset: str, methods: dict[str, Any], order: Sequence[str]) -> str:
    """Others' published results and those of :func:`leading`, by AP; empty where the design records none."""
    if dataset not in PUBLISHED:
        return ""
    lines = [(p.ap, [escape(p.method), number(p.ap), number(p.fpr95), escape(p.note)]) for p in PUBLISHED[dataset]]
    for name in leading(order):
        index, m = order.index(name), methods[name]
        ours = [f"{method_name(name, index)}", number(m["ap"]), number(m["fpr95"]), "measured here"]
        lines.append((m["ap"], ours))
    rows = [cells for _, cells in sorted(lines, key=lambda line: -line[0])]
    return table(["method", *headings(("ap", "fpr95")), "source"], rows, "left4")
