"""Several pictures go to a thread each, in order; a single one goes to the network that has all threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from airside.engine.bundle import open_bundle
from airside.engine.engine import NetworkOutput
from airside.engine.onnx import load_engine
from airside.engine.parity import TOLERANCE, compare, load_outputs
from airside.engine.spread import SpreadNetwork, thread_count
from tests.builders import tiny_bundle


class Doubler:
    """Gives ``double`` and ``sum``; remembers how many pictures came, and waits until ``at_once`` calls are inside."""

    def __init__(self, at_once: int = 1) -> None:
        self.counts: list[int] = []
        self._together = threading.Barrier(at_once)

    def __call__(self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        pictures = inputs["images"]
        self.counts.append(len(pictures))
        self._together.wait(timeout=20)
        if (pictures == 255).any():
            raise ValueError("white")
        found = {"double": pictures * 2.0, "sum": pictures.sum(axis=(1, 2, 3))}
        return [found[name] for name in outputs]


def pictures(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)


def test_one_goes_alone_and_several_beside_each_other() -> None:
    alone, beside = Doubler(), Doubler(at_once=2)
    made: list[Doubler] = []
    network = SpreadNetwork(alone, lambda: made.append(beside) or beside, 2)  # type: ignore[func-returns-value]
    (total,) = network({"images": pictures(1)}, ["sum"])
    assert (total.tolist(), alone.counts, made) == ([0], [1], [])
    for _ in range(2):
        total, double = network({"images": pictures(4)}, ["sum", "double"])
        assert total.tolist() == [0, 12, 24, 36]
        assert np.array_equal(double, pictures(4) * 2.0)
    assert (beside.counts, len(made), alone.counts) == ([1] * 8, 1, [1])


def test_an_error_in_a_thread_is_the_pass_s_error() -> None:
    network = SpreadNetwork(Doubler(), Doubler, 2)
    white = pictures(3)
    white[1] = 255
    with pytest.raises(ValueError, match="white"):
        network({"images": white}, ["sum"])
    assert network({"images": pictures(2)}, ["sum"])[0].tolist() == [0, 12]


def test_threads_are_those_given_or_one_a_core() -> None:
    assert thread_count(3) == 3
    assert thread_count(0) == len(os.sched_getaffinity(0))


def test_the_gate_sees_every_way(tmp_path: Path) -> None:
    model = tiny_bundle(tmp_path / "model", depth=True)
    engine, bundle = load_engine(model, 2), open_bundle(model)
    stored = load_outputs(model / "parity.npz", bundle.manifest)
    assert all(c.absolute < TOLERANCE for c in compare(engine, stored))

    class OddAlone:
        manifest = bundle.manifest

        def outputs(self, images: np.ndarray) -> NetworkOutput:
            found = engine.outputs(images)
            return NetworkOutput(found.tokens * (1.01 if len(images) == 1 else 1), found.depth)

        def tokens(self, images: np.ndarray) -> np.ndarray:
            return engine.tokens(images)

    class OddTokens(OddAlone):
        def outputs(self, images: np.ndarray) -> NetworkOutput:
            return engine.outputs(images)

        def tokens(self, images: np.ndarray) -> np.ndarray:
            return engine.tokens(images) * 1.02

    for odd, off in ((OddAlone(), 0.01), (OddTokens(), 0.02)):
        tokens, depth = compare(odd, stored)  # type: ignore[arg-type]
        assert tokens.relative == pytest.approx(off, rel=0.05)
        assert depth.absolute < TOLERANCE
