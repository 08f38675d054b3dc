"""What a training reports: lines or a bar while it runs, ``curve.csv``, and ``curve.png`` to look at."""

from __future__ import annotations

import csv
import math
import os
import sys
import time
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_BAR_CHARS = 20
_COLUMNS = 3


class Curve:
    """Rows of ``folder``/curve.csv: the step (the number done), the rate, and each figure's mean since the row before.

    Rows after ``first``, the step a resumed training starts from, are dropped: they will come again.
    """

    def __init__(self, folder: Path, name: str, first: int, steps: int) -> None:
        self._folder, self._name, self._first, self._steps = folder, name, first, steps
        self._began = time.monotonic()
        self._rows: list[dict[str, float]] = []
        if first and (folder / "curve.csv").exists():
            with (folder / "curve.csv").open(newline="") as file:
                rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
            self._rows = [{**row, "step": int(row["step"])} for row in rows if row["step"] <= first]
        self._write()

    def add(self, step: int, rate: float, figures: dict[str, float]) -> None:
        """One more row, in the file and on the terminal."""
        self._rows.append({"step": step, "rate": rate, **figures})
        self._write()
        pace_s = (time.monotonic() - self._began) / (step - self._first)
        on_terminal = sys.stdout.isatty()
        filled = _BAR_CHARS * step // self._steps
        bar = f"[{'#' * filled}{'.' * (_BAR_CHARS - filled)}] " if on_terminal else ""
        told = "  ".join(f"{key} {value:.3f}" for key, value in figures.items())
        left_min = (self._steps - step) * pace_s / 60
        line = f"{bar}{self._name} {step}/{self._steps}  {told}  {pace_s:.2f} s/step  {left_min:.0f} min left"
        over = on_terminal and step < self._steps
        print(f"\r\033[K{line}" if on_terminal else line, end="" if over else "\n", flush=True)

    def draw(self) -> None:
        """curve.png: one panel a figure, over the steps."""
        if not self._rows:
            return
        names = [name for name in self._rows[-1] if name != "step"]
        rows = math.ceil(len(names) / _COLUMNS)
        figure = Figure(figsize=(4 * _COLUMNS, 2.4 * rows))
        figure.subplots_adjust(0.06, 0.5 / (rows + 1), 0.98, 1 - 0.3 / (rows + 1), 0.25, 0.5)
        FigureCanvasAgg(figure)
        steps = [row["step"] for row in self._rows]
        for panel, name in enumerate(names, 1):
            axes = figure.add_subplot(rows, _COLUMNS, panel)
            axes.plot(steps, [row[name] for row in self._rows], linewidth=1.2)
            axes.set_title(name, fontsize=9, loc="left")
            axes.grid(alpha=0.3)
        part = self._folder / "curve.part.png"
        figure.savefig(part, dpi=100)
        os.replace(part, self._folder / "curve.png")

    def _write(self) -> None:
        part = self._folder / "curve.part.csv"
        with part.open("w", newline="") as file:
            if self._rows:
                writer = csv.DictWriter(file, list(self._rows[0]))
                writer.writeheader()
                writer.writerows(self._rows)
        os.replace(part, self._folder / "curve.csv")
