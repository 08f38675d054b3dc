"""Real processes, really killed: no torn snapshot, no acknowledged version lost, two writers both land."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from airside.bank.store import BankStore
from tests.builders import tiny_bank

ROOT = Path(__file__).parents[2]


def _start(*args: str, file_limit_bytes: int | None = None) -> subprocess.Popen[str]:
    def limit() -> None:
        if file_limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit_bytes, file_limit_bytes))

    return subprocess.Popen(
        [sys.executable, "-m", "tests.replay.power_cut_writer", *args],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


def _finish(process: subprocess.Popen[str]) -> list[str]:
    out, err = process.communicate("go\n", timeout=120)
    assert process.returncode == 0, err
    return out.split("\n")[:-1]


@pytest.fixture
def store(tmp_path: Path) -> BankStore:
    made = BankStore(tmp_path / "bank")
    made.create(tiny_bank(np.random.default_rng(0), crops=1), "test", "first")
    return made


def _require_nothing_lost(store: BankStore, acknowledged: list[str]) -> None:
    assert all(re.fullmatch("[0-9a-f]{64}", line) for line in acknowledged)
    report = store.verify()
    assert report.problems == ()
    assert report.intact == report.snapshots == len(list((store.path / "snapshots").glob("*.zarr.zip")))
    in_log = [info.id for info in reversed(store.log())]
    assert [i for i in in_log if i in set(acknowledged)] == acknowledged  # each of them, and in their order


def test_killed_at_100_random_moments(store: BankStore) -> None:
    acknowledged = _finish(_start("killed-at-random", str(store.path), "100", "1"))
    assert len(acknowledged) > 20  # the kills came during and between commits, not before all of them
    _require_nothing_lost(store, acknowledged)
    store.commit(lambda bank: bank, "test", "still works")
    assert not list(store.path.rglob(".tmp-*"))


def test_killed_before_each_system_call_of_a_commit(store: BankStore) -> None:
    lines = _finish(_start("killed-at-each-call", str(store.path)))
    assert len(lines) > 10
    assert all(line.startswith("killed") for line in lines[:-1])
    _require_nothing_lost(store, lines[-1:])
    # Killed after HEAD was replaced but before the answer: such a version is there though nobody was told.
    assert 2 <= len(store.log()) < len(lines)


def test_two_processes_at_once_both_land(store: BankStore) -> None:
    processes = [_start("commit", str(store.path), name, "8") for name in ("a", "b")]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    acknowledged = [line for process in processes for line in _finish(process)]
    assert len(acknowledged) == 16
    assert store.verify().problems == store.verify().notes == ()
    assert {info.id for info in store.log()} >= set(acknowledged)
    assert set(store.load()[0].names) >= {f"{name}{count}" for name in "ab" for count in range(8)}


def test_a_file_that_may_not_grow_is_a_clear_error(store: BankStore) -> None:
    """The nearest thing to a full disk that needs no mount: the kernel refuses the write half way."""
    head, files = store.head_id(), sorted(store.path.rglob("*"))
    process = _start("commit", str(store.path), "a", "1", file_limit_bytes=1000)
    _, err = process.communicate("go\n", timeout=60)
    assert process.returncode != 0
    assert "StorageError" in err
    assert "ulimit -f" in err
    assert store.head_id() == head
    assert sorted(store.path.rglob("*")) == files
    assert store.verify().ok
