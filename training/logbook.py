"""What a training tells while it runs and leaves behind: lines, a curve, checkpoints that are whole or not there."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.multitask.losses import require_finite

CHECKPOINT = "checkpoint.pt"
CURVE = "curve.csv"
TELL_EVERY = 50  # steps


def means(rows: Sequence[dict[str, Tensor]]) -> dict[str, float]:
    """The mean of every figure over ``rows`` of the same ones; one wait for the device."""
    values = torch.stack([torch.stack([row[name].float() for name in row]) for row in rows]).mean(dim=0).tolist()
    return dict(zip(rows[0], values, strict=True))


def save(path: Path, state: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def tell(out: Path, where: str, step: int, rate: float, seen: dict[str, float], after: str) -> None:
    """A line ``where``, the figures, ``after``; and a row of ``out``/curve.csv. Raises :class:`DivergedError` where a
    figure is no number."""
    require_finite(seen, step)
    line = "  ".join(f"{k} {v:.3f}" for k, v in seen.items())
    print(f"\r{where}  {line}  {after}", end="" if sys.stdout.isatty() else "\n", flush=True)
    curve = out / CURVE
    new = not curve.exists()
    with curve.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", "rate", *seen])
        writer.writerow([step, f"{rate:.6f}", *(f"{v:.4f}" for v in seen.values())])
