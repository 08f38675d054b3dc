"""A student learns what a teacher bundle says of the same pictures, and its weights start a multi-task training."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from airside.engine.onnx import OnnxEngine, load_engine
from airside.errors import InputError, MismatchError
from tests.builders import tiny_bundle
from tests.multitask_data import AUGMENTATION, BACKBONE, SCHEDULE, tiny_recipe, write_shards
from training.multitask.distill import Objective, distill, draw_lesson, load_pictures
from training.multitask.network import build_backbone, normalised
from training.multitask.processes import Processes
from training.multitask.recipe import DistillRecipe, recipe_from

ALONE = Processes(0, 1, torch.device("cpu"))
PLAIN = {"mirror": 0.0, "corrupt": 0.0, "lost": 0.0, "light": False}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> OnnxEngine:
    return load_engine(tiny_bundle(tmp_path_factory.mktemp("bundle") / "teacher"), threads=1)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    return load_pictures(write_shards(tmp_path_factory.mktemp("data")))


def _recipe(augmentation: dict[str, Any] = AUGMENTATION, **schedule: Any) -> DistillRecipe:
    keys = {"backbone": BACKBONE, "schedule": SCHEDULE | schedule, "cosine": 0.9, "smooth_l1": 0.1}
    return recipe_from(DistillRecipe, {**keys, "augmentation": augmentation})


def _rows(out: Path) -> list[dict[str, float]]:
    with (out / "curve.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_both_kinds_of_shards_give_their_pictures(pictures: list[np.ndarray], tmp_path: Path) -> None:
    assert [shard.shape for shard in pictures] == [(12, 28, 42, 3)] * 2
    single = np.arange(2 * 28 * 42 * 3, dtype=np.uint8).reshape(2, 28, 42, 3)
    np.savez(tmp_path / "shard000.npz", rgb=single, asset=np.zeros(3))
    np.testing.assert_array_equal(load_pictures(tmp_path)[0], single)
    np.savez(tmp_path / "shard001.npz", rgb=single[:, :14])
    with pytest.raises(InputError, match=r"shard001\.npz holds pictures \(14, 42\), the shards before \(28, 42\)"):
        load_pictures(tmp_path)
    np.savez(tmp_path / "shard001.npz", asset=np.zeros(3))
    with pytest.raises(InputError, match=r"shard001\.npz holds no pictures rgb"):
        load_pictures(tmp_path)


def test_the_teacher_sees_the_picture_and_the_student_its_augmented_form(
    pictures: list[np.ndarray], teacher: OnnxEngine
) -> None:
    def lesson(**change: Any) -> Any:
        return draw_lesson(pictures, teacher, _recipe(PLAIN | change, batch=8), 3, range(8))

    plain, mirrored, augmented = lesson(), lesson(mirror=1.0), lesson(corrupt=1.0, light=True)
    assert plain.tokens.shape == (8, 4, 7, 8)
    assert torch.equal(augmented.tokens, plain.tokens)
    assert not torch.equal(augmented.rgb, plain.rgb)
    assert torch.equal(mirrored.rgb, plain.rgb.flip(2))
    torch.testing.assert_close(mirrored.tokens, plain.tokens.flip(2), atol=1e-2, rtol=0)
    assert (mirrored.tokens - plain.tokens).abs().max() > 0.1
    halves = [draw_lesson(pictures, teacher, _recipe(batch=8), 3, slots) for slots in (range(4), range(4, 8))]
    whole = draw_lesson(pictures, teacher, _recipe(batch=8), 3, range(8))
    assert torch.equal(torch.cat([half.rgb for half in halves]), whole.rgb)


@torch.no_grad()
def test_a_student_that_says_what_the_teacher_says_loses_nothing(
    pictures: list[np.ndarray], teacher: OnnxEngine
) -> None:
    """The teacher's grid is 4 x 7, the student's 2 x 3: constant pictures have the same tokens everywhere."""
    objective = Objective(build_backbone(_recipe().backbone, (28, 42)), 8)
    lesson = draw_lesson([np.full_like(pictures[0], 200)], teacher, _recipe(PLAIN), 0, range(2))
    said = lesson.tokens[:, :2, :3].reshape(-1, 8) * 8**0.5
    objective.projection.register_forward_hook(lambda *_: said.reshape(2, 2, 3, 8))
    for name, part in objective(lesson).items():
        assert part.total == pytest.approx(0, abs=1e-4), name
        assert part.count == 12


def test_the_student_comes_nearer_and_goes_on_where_it_stopped(
    pictures: list[np.ndarray], teacher: OnnxEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = _recipe(PLAIN, steps=30, batch=8, report_every=5, checkpoint_every=5)
    distill(recipe, pictures, teacher, tmp_path, ALONE)
    first, *_, last = rows = _rows(tmp_path)
    assert last["cosine"] < 0.8 * first["cosine"]
    assert "distill: tiny-0 teaches vit_small_patch14_reg4_dinov2" in capsys.readouterr().out

    started = build_backbone(
        tiny_recipe(backbone={"weights": str(tmp_path / "student.safetensors")}).backbone, (28, 42)
    )
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    for name, value in started.network.state_dict().items():
        assert torch.equal(value, saved[f"student.network.{name}"]), name
    x = normalised(torch.from_numpy(pictures[0][:2].copy()), started)
    assert torch.isfinite(started(x)).all()

    distill(recipe, pictures, teacher, tmp_path, ALONE)
    assert _rows(tmp_path) == rows
    other = _recipe(PLAIN, steps=30, batch=8, report_every=5, checkpoint_every=5, seed=2)
    with pytest.raises(MismatchError, match="another recipe"):
        distill(other, pictures, teacher, tmp_path, ALONE)
