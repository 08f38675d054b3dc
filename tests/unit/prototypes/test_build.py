"""A bank is not made from pictures that lack what it must guard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from airside.assets import embedded_model
from airside.engine.onnx import load_engine
from airside.errors import InputError
from prototypes import build
from training.apron.frames import LabelledFrame
from training.apron.renderer import View


def test_pictures_without_persons_or_debris_make_no_bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = LabelledFrame(
        np.full((224, 392, 3), 90, np.uint8),
        np.zeros((224, 392), np.uint16),
        np.full((224, 392), -1, np.int16),
        np.ones((224, 392), np.float32),
        ("tarmac",),
        "day",
        "wide",
        0,
        View((0.0, 0.0, 1.5), 0.0, 0.0, 0.0, 1.0, 224, 392),
    )
    monkeypatch.setattr(build, "render_plans", lambda plans, cache: [(plan, [frame]) for plan in plans])
    with pytest.raises(InputError, match=r"clutter, person in 2 worlds.*--worlds"):
        build.learn_apron(load_engine(embedded_model(), threads=1), build.bank_plans(2), lambda *_: None)
