"""The doctor finds what is wrong, says what to do, and fails only where something fails."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from airside.commands.check import FAIL, OK
from airside.commands.doctor import parity_check
from airside.commands.library_checks import within
from airside.engine.onnx import load_engine
from airside.engine.parity import load_outputs, save_outputs
from tests.builders import tiny_bundle

Call = Callable[..., SimpleNamespace]


def test_all_well(shop: SimpleNamespace, airside: Call) -> None:
    answer = airside("doctor", *shop.common, "--out", shop.path)
    assert answer.code == 0, answer.out
    assert "nothing failed" in answer.out
    for what in ("Python", "onnxruntime", "stored outputs", "one network pass", "bank and model", "video encoder"):
        assert what in answer.out
    assert any(line.startswith("warn") and "path threshold" in line for line in answer.out.splitlines())


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


def test_a_full_bundle_is_checked_in_all_its_outputs(tmp_path: Path, airside: Call) -> None:
    tiny_bundle(tmp_path / "model", depth=True, bev=True)
    lines = airside("doctor", "--model", tmp_path / "model", "--out", tmp_path).out.splitlines()
    assert any("gives tokens, depth, bev" in line for line in lines)
    (stored,) = [line for line in lines if "stored outputs" in line]
    assert stored.startswith(OK)
    assert all(f"{name} within" in stored for name in ("tokens", "depth", "bev", "depth_probability"))


@pytest.mark.parametrize("what", ["tokens", "depth", "bev", "depth_probability"])
@pytest.mark.parametrize(("change", "state"), [(0.0, OK), (5e-4, OK), (5e-3, FAIL), (np.nan, FAIL)])
def test_parity(tmp_path: Path, what: str, change: float, state: str) -> None:
    model = tiny_bundle(tmp_path / "model", depth=True, bev=what != "tokens")  # its input is the stored tokens
    engine = load_engine(model, 1)
    stored = load_outputs(model / "parity.npz", engine.manifest)
    wanted = stored.outputs[what]
    changed = wanted + np.float32(change) if what == "tokens" else wanted * np.float32(1 + change)
    save_outputs(model / "parity.npz", replace(stored, outputs=stored.outputs | {what: changed}))
    check = parity_check(model, engine)
    assert check.state == state
    assert (f"{what} differs by" in check.detail) == (state == FAIL)
    save_outputs(model / "parity.npz", replace(stored, outputs=stored.outputs | {what: wanted[1:]}))
    assert parity_check(model, engine).state == FAIL


def test_stored_outputs_that_lack_what_is_declared(tmp_path: Path) -> None:
    model, other = tiny_bundle(tmp_path / "model", depth=True, bev=True), tiny_bundle(tmp_path / "other", depth=True)
    engine = load_engine(model, 1)
    shutil.copy(other / "parity.npz", model / "parity.npz")
    check = parity_check(model, engine)
    assert (check.state, "rays" in check.detail, "export it anew" in check.detail) == (FAIL, True, True)


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
