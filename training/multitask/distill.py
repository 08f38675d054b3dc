"""Teach a small student a teacher's tokens, alone or under torchrun:

    python -m training.multitask.distill --config FILE --teacher BUNDLE --data DIR --out DIR

The teacher is any model bundle; the pictures are those of the shards of ``training.pictures`` or of
``training.multitask``: no label is looked at. Leaves ``student.safetensors`` in timm's layout, which a recipe names as
its ``backbone.weights``.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from airside.engine.engine import Engine
from airside.engine.onnx import load_engine
from airside.errors import InputError
from airside.model.backbone import Backbone
from training.multitask.batches import augment_pictures, sample_numbers
from training.multitask.loop import Task, train
from training.multitask.losses import Sum, cosine_distance, smooth_l1_distance
from training.multitask.network import build_backbone, normalised, save_backbone
from training.multitask.processes import Processes
from training.multitask.recipe import DistillRecipe, load_recipe
from training.multitask.shards import map_arrays, shard_paths
from training.multitask.train import run_command

NAME = "distill"
STUDENT = "student.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """Pictures as the student sees them, and what the teacher says of them."""

    rgb: Tensor  # [B, H, W, 3] uint8
    tokens: Tensor  # [B, hp, wp, teacher's C] float32 of unit length, on the teacher's own grid

    def to(self, device: torch.device) -> Lesson:
        return Lesson(self.rgb.to(device), self.tokens.to(device))


class Objective(nn.Module):
    """The student's tokens, projected to the teacher's width, against the teacher's."""

    def __init__(self, student: Backbone, teacher_width: int) -> None:
        super().__init__()
        self.student = student
        self.projection = nn.Linear(student.width, teacher_width)

    def forward(self, lesson: Lesson) -> dict[str, Sum]:
        said = self.projection(self.student(normalised(lesson.rgb, self.student))).flatten(0, 2)
        wanted = functional.normalize(_on_grid(lesson.tokens, self.student.grid), dim=-1).flatten(0, 2)
        return {"cosine": cosine_distance(said, wanted), "smooth_l1": smooth_l1_distance(said, wanted)}


def load_pictures(folder: Path) -> list[np.ndarray]:
    """The pictures of every shard, mapped: [F, H, W, 3] uint8 each, of one size."""
    pictures = []
    for path in shard_paths(folder):
        rgb = map_arrays(path).get("rgb")
        if rgb is None or rgb.ndim not in (4, 5) or rgb.shape[-1] != 3 or rgb.dtype != np.uint8:
            raise InputError(f"{path} holds no pictures rgb [..., H, W, 3] uint8")
        pictures.append(rgb.reshape(-1, *rgb.shape[-3:]))
        if pictures[-1].shape[1:] != pictures[0].shape[1:]:
            raise InputError(f"{path} holds pictures {rgb.shape[-3:-1]}, the shards before {pictures[0].shape[1:3]}")
    return pictures


def draw_lesson(pictures: list[np.ndarray], teacher: Engine, recipe: DistillRecipe, step: int, slots: range) -> Lesson:
    """The ``slots`` of the global batch of ``step``. The teacher sees the picture itself, the student the augmented."""
    starts = np.cumsum([0, *(len(shard) for shard in pictures)])
    seed, batch = recipe.schedule.seed, recipe.schedule.batch
    shown, plain = [], []
    for slot, number in zip(slots, sample_numbers(int(starts[-1]), seed, step, batch, slots), strict=True):
        rng = np.random.default_rng([seed, step, 1 + slot])
        shard = int(np.searchsorted(starts, number, side="right")) - 1
        mirror = -1 if rng.random() < recipe.augmentation.mirror else 1
        picture = np.ascontiguousarray(pictures[shard][number - starts[shard], :, ::mirror])
        plain.append(_resized(picture, teacher.manifest.height_px, teacher.manifest.width_px))
        shown.append(augment_pictures(picture[None], None, recipe.augmentation, rng)[0])
    return Lesson(torch.from_numpy(np.stack(shown)), torch.from_numpy(teacher.tokens(np.stack(plain))))


def distill(
    recipe: DistillRecipe, pictures: list[np.ndarray], teacher: Engine, out: Path, processes: Processes
) -> None:
    """Train, or go on training, the student in the folder ``out``, and write it there."""
    torch.manual_seed(recipe.schedule.seed)
    height, width = pictures[0].shape[1:3]
    student = build_backbone(recipe.backbone, (height, width)).requires_grad_(True)
    objective = Objective(student, teacher.manifest.token_width)
    if processes.is_first:
        count = sum(p.numel() for p in student.parameters())
        print(f"{NAME}: {teacher.manifest.name} teaches {student.name}, {count:,} trainable parameters", flush=True)
    facts = json.loads(json.dumps({"recipe": asdict(recipe), "teacher": teacher.manifest.fingerprint}))
    task = Task(
        NAME,
        objective,
        [{"params": list(objective.parameters()), "share": 1.0}],
        {"cosine": recipe.cosine, "smooth_l1": recipe.smooth_l1},
        lambda step, slots: draw_lesson(pictures, teacher, recipe, step, slots),
        facts,
    )
    train(task, recipe.schedule, processes, out)
    if processes.is_first:
        save_backbone(student, out / STUDENT)


def _resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    shrinks = height < picture.shape[0]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _on_grid(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """[B, hp, wp, C] -> [B, *grid, C], bilinear."""
    planes = tokens.permute(0, 3, 1, 2)
    return functional.interpolate(planes, grid, mode="bilinear", align_corners=False).permute(0, 2, 3, 1)


def _work(args: argparse.Namespace, processes: Processes) -> None:
    recipe, pictures = load_recipe(DistillRecipe, args.config), load_pictures(args.data)
    distill(recipe, pictures, load_engine(args.teacher), args.out, processes)


if __name__ == "__main__":
    run_command(__doc__, _work, teacher="model bundle whose tokens are learned")
