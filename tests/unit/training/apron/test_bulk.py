"""Frames from the cache are the frames that were rendered, and another plan or another simulator finds none of them."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from training.apron import bulk
from training.apron.frames import LabelledFrame, WorldPlan
from training.apron.renderer import View

PLAN = WorldPlan(seed=1, world=2, frames=2)


def _frames(plan: WorldPlan) -> list[LabelledFrame]:
    rng = np.random.default_rng(plan.world)
    return [
        LabelledFrame(
            rng.integers(0, 256, (4, 6, 3), np.uint8),
            rng.integers(0, 9, (4, 6)).astype(np.uint16),
            rng.integers(-1, 3, (4, 6)).astype(np.int16),
            np.where(rng.random((4, 6)) < 0.2, np.inf, rng.random((4, 6))).astype(np.float32),
            ("sky", "tarmac", "bus"),
            "fog",
            "wide",
            plan.world,
            View((1.5, -2.25, 1.7), 0.3, 0.05, -0.01, 1.1, 4, 6),
        )
        for _ in range(plan.frames)
    ]


def test_cached_frames_are_the_rendered_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[WorldPlan] = []

    def render(plan: WorldPlan) -> list[LabelledFrame]:
        rendered.append(plan)
        return _frames(plan)

    monkeypatch.setattr(bulk, "frames_of", render)
    first, again = bulk.cached_frames(PLAN, tmp_path), bulk.cached_frames(PLAN, tmp_path)
    assert rendered == [PLAN]
    assert len(first) == len(again) == 2
    for a, b in zip(first, again, strict=True):
        for field in fields(LabelledFrame):
            x, y = getattr(a, field.name), getattr(b, field.name)
            assert type(x) is type(y), field.name
            np.testing.assert_array_equal(x, y)
            if isinstance(x, np.ndarray):
                assert x.dtype == y.dtype
    other = replace(PLAN, world=3)
    bulk.cached_frames(other, tmp_path)
    monkeypatch.setattr(bulk, "simulator_digest", lambda: "another simulator")
    bulk.cached_frames(PLAN, tmp_path)
    assert rendered == [PLAN, other, PLAN]
    assert len(list(tmp_path.iterdir())) == 3
