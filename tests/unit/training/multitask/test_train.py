"""A training that is killed goes on as if nothing had happened; one that diverges says where."""

from __future__ import annotations

import csv
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from torch import nn

from airside.errors import InputError, MismatchError, UsageError
from tests.multitask_data import tiny_recipe, write_recipe, write_shards
from training.multitask import loop, losses, train
from training.multitask.batches import Samples, draw_batch, load_samples
from training.multitask.losses import DivergedError, Sum
from training.multitask.processes import Processes
from training.multitask.train import load_trained, train_multitask

ROOT = Path(__file__).parents[4]
ALONE = Processes(0, 1, torch.device("cpu"))
FULL = {"adaptation": {"mode": "full"}}
FIGURES = [
    "step", "rate", "loss", "gradient", "asset", "family", "family_named", "asset_named", "depth", "depth_absrel",
    "bev", "bins", "iou_vehicles", "iou_drivable", "iou_markings",
]  # fmt: skip
DIES_IN_STEP = """
import os, signal, sys
import torch
from training.multitask import train
from training.multitask.curve import Curve

step = int(sys.argv.pop())

def add(self, done, *rest, honest=Curve.add):
    honest(self, done, *rest)
    if done == step and step % 2:
        os.kill(os.getpid(), signal.SIGKILL)

def save(state, file, honest=torch.save):
    honest(state, file)
    if state["step"] == step:
        file.seek(file.tell() // 2)
        file.truncate()
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

Curve.add, torch.save = add, save
train.run_command(None, train._work)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def samples(data: Path) -> Samples:
    return load_samples(data)


def _rows(out: Path) -> list[dict[str, float]]:
    with (out / "curve.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_a_killed_training_repeats_an_unbroken_one(data: Path, samples: Samples, tmp_path: Path) -> None:
    """Killed after an odd step, or in the middle of the checkpoint that every even one writes."""
    step = random.randrange(3, 7)
    print(f"killed in step {step}")
    config = write_recipe(tmp_path / "recipe.yaml", **FULL)
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    whole.mkdir()
    arguments = ["--config", str(config), "--data", str(data), "--out", str(parts), str(step)]
    done = subprocess.run(
        [sys.executable, "-c", DIES_IN_STEP, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == -9, done.stderr
    assert torch.load(parts / "checkpoint.pt", weights_only=True)["step"] == (step - 1) // 2 * 2
    assert len(_rows(parts)) == step  # more than the checkpoint knows: they come again

    resumed = train_multitask(tiny_recipe(**FULL), samples, parts, ALONE)
    unbroken = train_multitask(tiny_recipe(**FULL), samples, whole, ALONE)
    assert [row["step"] for row in _rows(parts)] == [1, 2, 3, 4, 5, 6]
    for got, wanted in zip(_rows(parts), _rows(whole), strict=True):
        assert got == pytest.approx(wanted, rel=1e-3, abs=1e-3)
    for (name, got), wanted in zip(resumed.named_parameters(), unbroken.parameters(), strict=True):
        assert torch.allclose(got, wanted, atol=1e-4, rtol=1e-3), name
    assert sorted(path.name for path in parts.iterdir()) == ["checkpoint.pt", "curve.csv", "curve.png"]


def test_what_it_leaves_and_says(
    samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tiny_recipe(schedule={"steps": 5, "report_every": 2, "checkpoint_every": 4})
    network = train_multitask(recipe, samples, tmp_path, ALONE).eval()
    rows = _rows(tmp_path)
    assert [row["step"] for row in rows] == [2, 4, 5]
    assert list(rows[0]) == FIGURES
    weights = {"asset": 1.0, "family": 1.5, "depth": 1.0, "bev": 2.0, "bins": 0.1}
    assert rows[0]["loss"] == pytest.approx(sum(w * rows[0][name] for name, w in weights.items()))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "curve.csv", "curve.png"]
    assert cv2.imread(str(tmp_path / "curve.png")).std() > 5
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("multitask: LoRA rank 2 on query and value of vit_small_patch14_reg4_dinov2")
    assert said[0].endswith("; 12 samples, 1 processes")
    assert [line.split()[1] for line in said[1:]] == ["2/5", "4/5", "5/5"]

    again = load_trained(tmp_path, samples.rig(1))
    batch = draw_batch(samples, recipe.tokens, recipe.augmentation, 0, 0, 2, range(2))
    with torch.no_grad():
        got, wanted = (n(batch.rgb, batch.rigs, batch.asked) for n in (again, network))
    assert torch.equal(got.depth_m, wanted.depth_m)
    assert torch.equal(got.bev.layers, wanted.bev.layers)
    assert torch.equal(got.family_cosine, wanted.family_cosine)
    assert again.recipe == recipe
    assert again.labels == samples.labels

    monkeypatch.setattr(train, "draw_batch", None)  # a finished training draws nothing more
    train_multitask(recipe, samples, tmp_path, ALONE)
    assert _rows(tmp_path) == rows
    with pytest.raises(MismatchError, match="of a training with another recipe; go on with the same"):
        train_multitask(tiny_recipe(schedule={"seed": 2}), samples, tmp_path, ALONE)


def test_a_folder_without_a_training_is_refused(samples: Samples, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"checkpoint\.pt does not exist"):
        load_trained(tmp_path, samples.rig(0))


def test_every_loss_falls(samples: Samples, tmp_path: Path) -> None:
    """Twelve samples, seen again and again as they are."""
    recipe = tiny_recipe(
        **FULL,
        schedule={"steps": 40, "batch": 6, "report_every": 4, "checkpoint_every": 40},
        augmentation={"mirror": 0.0, "corrupt": 0.0, "lost": 0.0, "light": False},
    )
    train_multitask(recipe, samples, tmp_path, ALONE)
    first, *_, last = _rows(tmp_path)
    for name in ("asset", "family", "depth", "bev", "bins"):
        assert last[name] < 0.95 * first[name], name


def test_a_loss_that_is_no_number_names_task_and_step(
    samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, calls = losses.scale_invariant_depth, []

    def lost_in_step_1(*args: Any) -> Sum:
        calls.append(1)
        total, count = honest(*args)
        return Sum(total * float("nan"), count) if len(calls) == 2 else Sum(total, count)

    monkeypatch.setattr(losses, "scale_invariant_depth", lost_in_step_1)
    with pytest.raises(DivergedError, match="step 1: depth is nan"):
        train_multitask(tiny_recipe(), samples, tmp_path, ALONE)
    assert [row["step"] for row in _rows(tmp_path)] == [1]


def test_a_rate_that_breaks_the_network_is_named(samples: Samples, tmp_path: Path) -> None:
    recipe = tiny_recipe(**FULL, schedule={"learning_rate": 1e30, "warmup": 0})
    with pytest.raises(DivergedError, match=r"step 1: .*lower the learning rate"):
        train_multitask(recipe, samples, tmp_path, ALONE)


def test_a_gradient_that_is_no_number_is_named(tmp_path: Path) -> None:
    class Corner(nn.Module):
        """0 at 0, and no slope there."""

        def __init__(self) -> None:
            super().__init__()
            self.place = nn.Parameter(torch.zeros(2, 2))

        def forward(self, count: torch.Tensor) -> dict[str, Sum]:
            return {"corner": Sum((self.place * 0).sqrt().sum(), count)}

    corner = Corner()
    groups = [{"params": list(corner.parameters()), "share": 1.0}]
    task = loop.Task("corner", corner, groups, {"corner": 1.0}, lambda step, slots: torch.ones(()), {})
    with pytest.raises(DivergedError, match="step 0: gradient is nan"):
        loop.train(task, tiny_recipe().schedule, ALONE, tmp_path)


def test_a_batch_must_divide_among_the_processes() -> None:
    assert [list(Processes(rank, 2, torch.device("cpu")).slots(4)) for rank in (0, 1)] == [[0, 1], [2, 3]]
    with pytest.raises(UsageError, match="a batch of 4 does not divide among 3 processes"):
        Processes(0, 3, torch.device("cpu")).slots(4)


def test_the_command_ends_with_the_message_and_its_exit_code(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_recipe(tmp_path / "recipe.yaml", tokens={"purity": 0.5})
    words = ["train", "--config", str(recipe), "--data", str(data), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as refused:
        train.run_command(None, train._work)
    assert refused.value.code == UsageError.exit_code
    assert "error: settings " in (told := capsys.readouterr().err)
    assert "unknown key 'purity'" in told
