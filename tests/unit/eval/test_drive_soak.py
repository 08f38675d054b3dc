"""The soak's own arithmetic: what grows is seen, what only warms up is not."""

from __future__ import annotations

import threading

import pytest

from eval.drive.soak import Footing, footing, growth, soak


def test_a_leak_is_seen_and_warming_up_is_not() -> None:
    steady = [Footing(50 + min(k, 15) * 4, 8, 20) for k in range(200)]  # grows over the first 15 samples only
    leaking = [Footing(100 + k, 8 + k // 100, 20 + k // 50) for k in range(200)]
    assert growth(steady, 2000)["memory_growth"] == 0
    found = growth(leaking, 2000)
    assert found["memory_growth"] > 1
    assert found["threads"] == [8, 9]
    assert found["files"] == [20, 23]


def test_every_step_is_taken_and_the_process_is_looked_at_all_along() -> None:
    steps: list[int] = []
    looks: list[int] = []

    def look() -> Footing:
        looks.append(len(steps))
        return Footing(100, 1, 1)

    assert soak(steps.append, 1000, look)["memory_growth"] == 0
    assert steps == list(range(1000))
    assert len(looks) == 200
    assert looks[-1] == 1000


def test_the_footing_counts_threads_and_files_of_this_process(tmp_path) -> None:
    before, done = footing(), threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    with (tmp_path / "file").open("w"):
        during = footing()
    done.set()
    thread.join()
    assert during.threads == before.threads + 1
    assert during.files == before.files + 1
    assert before.memory_bytes == pytest.approx(during.memory_bytes, rel=0.5)
