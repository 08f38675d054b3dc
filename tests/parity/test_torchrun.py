"""Two processes that share a global batch learn exactly what one does."""

from __future__ import annotations

import csv
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from tests.multitask_data import tiny_recipe, write_recipe, write_shards
from training.multitask.batches import draw_batch, load_samples
from training.multitask.processes import Processes
from training.multitask.train import train_multitask

ROOT = Path(__file__).parents[2]
# float32: bfloat16 rounds a half batch otherwise than a whole one, by more than what is compared here
SCHEDULE = {"steps": 5, "checkpoint_every": 5, "mixed_precision": False}
SECTIONS = {"adaptation": {"mode": "full"}, "schedule": SCHEDULE}


def _rows(out: Path) -> list[dict[str, float]]:
    with (out / "curve.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_two_processes_follow_the_curve_of_one(tmp_path: Path) -> None:
    data, recipe = write_shards(tmp_path / "data"), tiny_recipe(**SECTIONS)
    samples = load_samples(data)
    config = write_recipe(tmp_path / "recipe.yaml", **SECTIONS)
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    training = ["-m", "training.multitask.train", "--config", config, "--data", data, "--out", two]
    done = subprocess.run(
        [sys.executable, *torchrun, *training],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("12 samples, 2 processes") == 1
    alone = train_multitask(recipe, samples, one, Processes(0, 1, torch.device("cpu")))

    rows = _rows(one)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    for got, wanted in zip(_rows(two), rows, strict=True):
        assert got == pytest.approx(wanted, rel=1e-3, abs=1e-3)
    together = torch.load(two / "checkpoint.pt", weights_only=True)["model"]
    for name, value in alone.state_dict().items():
        assert torch.allclose(together[f"network.{name}"], value, atol=1e-3, rtol=1e-2), name

    # It could fail: the steps differ, and so does what the two halves of a batch have to say.
    assert all(abs(a["loss"] - b["loss"]) > 1e-2 for a, b in pairwise(rows))
    halves = [
        draw_batch(samples, recipe.tokens, recipe.augmentation, 1, 0, 4, slots) for slots in (range(2), range(2, 4))
    ]
    weight, cells = ([getattr(half, name).sum().item() for half in halves] for name in ("weight", "visible"))
    assert abs(weight[0] / weight[1] - 1) > 0.02 or abs(cells[0] / cells[1] - 1) > 0.02
