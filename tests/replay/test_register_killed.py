"""``airside register`` as processes: killed at any moment nothing acknowledged is lost; two at once both land."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from airside.bank.store import BankStore
from airside.engine.onnx import load_engine
from tests.builders import apron_like_picture, taught_bank, tiny_bundle
from tests.replay.register_killer import TIMED

ROOT = Path(__file__).parents[2]
KILLS = 20


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """``register @ IMAGE... --json`` on a bank of its own."""
    BankStore(tmp_path / "bank").create(taught_bank(load_engine(tiny_bundle(tmp_path / "model"), 1)), "test", "first")
    rng = np.random.default_rng(3)
    given: list[str] = []
    for k in range(3):
        picture, box = apron_like_picture(rng)
        cv2.imwrite(str(tmp_path / f"{k}.png"), picture[:, :, ::-1])
        given += [str(tmp_path / f"{k}.png"), "--box", ",".join(map(str, box))]
    where = ["--bank", str(tmp_path / "bank"), "--model", str(tmp_path / "model"), "--json"]
    return ["register", "tug@", *given, *where]


def _start(*words: str) -> subprocess.Popen[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}  # as many a service sets it
    return subprocess.Popen([sys.executable, *words], cwd=ROOT, env=environment, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)  # fmt: skip


def test_killed_at_random_moments(words: list[str], tmp_path: Path) -> None:
    process = _start("-m", "tests.replay.register_killer", str(KILLS), "1", "--", *words)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    acknowledged = [json.loads(line)["snapshot"] for line in out.splitlines()]
    assert TIMED <= len(acknowledged) < TIMED + KILLS  # some were killed before they could answer
    store = BankStore(tmp_path / "bank")
    report = store.verify()
    assert report.problems == ()
    assert report.intact == report.snapshots
    assert {info.id for info in store.log()} >= set(acknowledged)
    after = _start("-m", "airside", *(word.replace("@", "-last") for word in words))
    assert after.wait(timeout=60) == 0
    assert store.load()[0].names[-1] == "tug-last"
    assert not list(tmp_path.rglob(".tmp-*"))


def test_two_at_once_both_land(words: list[str], tmp_path: Path) -> None:
    both = [_start("-m", "airside", *(word.replace("@", name) for word in words)) for name in ("A", "B")]
    for process in both:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    store = BankStore(tmp_path / "bank")
    assert set(store.load()[0].names) >= {"tugA", "tugB"}
    assert [info.number for info in store.log()] == [3, 2, 1]
    assert store.verify().ok
