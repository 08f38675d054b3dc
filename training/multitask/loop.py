"""The training loop that every recipe of this package shares: one process or many, resumable, told as it goes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from airside.errors import InputError, MismatchError
from training.multitask.curve import Curve
from training.multitask.losses import DivergedError, Sum, require_finite
from training.multitask.processes import Processes
from training.multitask.recipe import Schedule
from training.schedule import half_precision

CHECKPOINT = "checkpoint.pt"
_LEAST_COUNT = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What is trained, and on what.

    ``objective``: a module whose forward gives every figure of a batch as a :class:`Sum`, the losses among them.
    ``groups``: its parameters that learn, for AdamW, each group with its ``share`` of the learning rate. ``weights``:
    what each loss counts; other sums are only reported. ``draw(step, slots)``: these slots of a step's batch, with a
    ``to(device)``; it is called one step ahead, in a thread. ``facts``: plain values that the checkpoint keeps.
    """

    name: str
    objective: nn.Module
    groups: list[dict[str, Any]]
    weights: dict[str, float]
    draw: Callable[[int, range], Any]
    facts: dict[str, Any]


def train(task: Task, schedule: Schedule, processes: Processes, out: Path) -> None:
    """Train ``task`` to ``schedule.steps``, from ``out``'s checkpoint if there is one.

    The gradient is that of the global batch's mean whatever the number of processes: every loss is divided by the count
    of all of them. A resumed training repeats an unbroken one.

    Raises:
        DivergedError: a loss or the gradient is no number.
        MismatchError: ``out`` holds another training's checkpoint.
        UsageError: the batch does not divide among the processes.
    """
    slots = processes.slots(schedule.batch)
    model = processes.shared(task.objective)
    learning = [p for group in task.groups for p in group["params"]]
    groups = _decayed(task.groups, schedule.weight_decay)
    optimiser = torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=(0.9, 0.98))
    first = _resume(out / CHECKPOINT, task, optimiser, processes)
    curve = Curve(out, task.name, first, schedule.steps) if processes.is_first and first < schedule.steps else None
    since: list[Tensor] = []
    norms: list[float] = []
    for step, batch in _ahead(task.draw, slots, range(first, schedule.steps)):
        rate = schedule.rate_at(step)
        for group in optimiser.param_groups:
            group["lr"] = rate * group["share"]
        sums = _sums(model, batch.to(processes.device), schedule, processes, step)
        everyone = processes.added(torch.stack([part.detach().double() for s in sums.values() for part in s]))
        means = _means(sums, everyone)
        require_finite({name: means[name] for name in task.weights}, step)
        count = dict(zip(sums, everyone[1::2].clamp_min(_LEAST_COUNT).float(), strict=True))
        loss = torch.stack([w * sums[name].total / count[name] for name, w in task.weights.items()]).sum()
        optimiser.zero_grad(set_to_none=True)
        (loss * processes.world).backward()
        norms.append(nn.utils.clip_grad_norm_(learning, schedule.clip).item())
        require_finite({"gradient": norms[-1]}, step)
        optimiser.step()
        since.append(everyone)
        done = step + 1
        if done % schedule.report_every == 0 or done == schedule.steps:
            told = _means(sums, torch.stack(since).sum(dim=0))
            loss_told = sum(w * told[name] for name, w in task.weights.items())
            if curve is not None:
                curve.add(done, rate, {"loss": loss_told, "gradient": sum(norms) / len(norms), **told})
            since.clear()
            norms.clear()
        if curve is not None and (done % schedule.checkpoint_every == 0 or done == schedule.steps):
            _save(out / CHECKPOINT, task, optimiser, done)
            curve.draw()


def _means(names: Iterable[str], sums: Tensor) -> dict[str, float]:
    """``sums``: total and count of each name in turn."""
    return dict(zip(names, (sums[0::2] / sums[1::2].clamp_min(_LEAST_COUNT)).tolist(), strict=True))


def _sums(model: nn.Module, batch: Any, schedule: Schedule, processes: Processes, step: int) -> dict[str, Sum]:
    try:
        with half_precision(processes.device, wanted=schedule.mixed_precision):
            sums: dict[str, Sum] = model(batch)
    except InputError as error:  # a head that was given tokens which are no numbers
        raise DivergedError(f"step {step}: {error}; lower the learning rate or clip") from error
    return sums


def _decayed(groups: list[dict[str, Any]], weight_decay: float) -> list[dict[str, Any]]:
    """Only matrices and filters are pulled towards zero."""
    split = []
    for group in groups:
        for decay, members in (
            (weight_decay, [p for p in group["params"] if p.ndim >= 2]),
            (0.0, [p for p in group["params"] if p.ndim < 2]),
        ):
            if members:
                split.append({**group, "params": members, "weight_decay": decay})
    return split


def _ahead(draw: Callable[[int, range], Any], slots: range, steps: range) -> Iterator[tuple[int, Any]]:
    """Each step with its batch, the next one being drawn meanwhile."""
    with ThreadPoolExecutor(1) as thread:
        coming = [thread.submit(draw, step, slots) for step in steps[:1]]
        for step in steps:
            batch = coming.pop().result()
            coming += [thread.submit(draw, following, slots) for following in range(step + 1, steps.stop)[:1]]
            yield step, batch


def _resume(path: Path, task: Task, optimiser: torch.optim.Optimizer, processes: Processes) -> int:
    """The step to go on from."""
    if not path.exists():
        return 0
    saved = torch.load(path, map_location=processes.device, weights_only=True)
    here, there = task.facts, saved["facts"]
    other = sorted(key for key in here.keys() | there.keys() if here.get(key) != there.get(key))
    if other:
        raise MismatchError(
            f"{path} is of a training with another {' and '.join(other)}; go on with the same, or choose another --out"
        )
    task.objective.load_state_dict(saved["model"])
    optimiser.load_state_dict(saved["optimiser"])
    return int(saved["step"])


def _save(path: Path, task: Task, optimiser: torch.optim.Optimizer, step: int) -> None:
    """There whole or not at all, also after a power cut."""
    part = path.with_suffix(".part")
    model = task.objective.state_dict()
    with part.open("wb") as file:
        torch.save({"step": step, "model": model, "optimiser": optimiser.state_dict(), "facts": task.facts}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
