"""The doctor finds what is wrong, says what to do, and fails only where something fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from airside.commands.check import FAIL, OK
from airside.commands.doctor import parity_check
from airside.commands.library_checks import within

Call = Callable[..., SimpleNamespace]


def test_all_well(shop: SimpleNamespace, airside: Call) -> None:
    answer = airside("doctor", *shop.common, "--out", shop.path)
    assert answer.code == 0, answer.out
    assert "nothing failed" in answer.out
    for what in ("Python", "onnxruntime", "stored outputs", "one network pass", "bank and model", "video encoder"):
        assert what in answer.out


def test_findings(shop: SimpleNamespace, airside: Call) -> None:
    model = shop.path / "model"
    shutil.copytree(shop.model, model)
    (model / "parity.npz").write_bytes(b"torn")
    head = next((shop.bank / "snapshots").iterdir())
    head.write_bytes(head.read_bytes()[:-100])
    answer = airside("doctor", "--bank", shop.bank, "--model", model, "--out", shop.images[0])
    assert answer.code == 1
    failed = [line for line in answer.out.splitlines() if line.startswith("FAIL")]
    assert any("parity.npz" in line and "export it anew" in line for line in failed)
    assert any(str(head) in line for line in failed)
    assert any("is a file" in line for line in failed)


@pytest.mark.parametrize(("change", "state"), [(0.0, OK), (5e-4, OK), (5e-3, FAIL), (np.nan, FAIL)])
def test_parity(shop: SimpleNamespace, change: float, state: str) -> None:
    with np.load(shop.model / "parity.npz") as stored:
        tokens = stored["tokens"]
    assert parity_check(shop.model, lambda images: tokens + np.float32(change)).state == state
    assert parity_check(shop.model, lambda images: tokens[:, 1:]).state == FAIL


@pytest.mark.parametrize(
    ("version", "bounds", "inside"),
    [
        ("5.0.0.93", ">=4.11,<5.1", True),
        ("5.1.0", ">=4.11,<5.1", False),
        ("4.9", ">=4.11,<5.1", False),
        ("4.11.0", ">=4.11", True),
        ("3.1rc1", ">=3.1,<3.2", True),
        ("1", "", True),
    ],
)
def test_bounds(version: str, bounds: str, inside: bool) -> None:
    assert within(version, bounds) is inside
