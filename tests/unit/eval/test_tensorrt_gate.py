"""The gate reports what it could not build, and builds where the library is."""

from __future__ import annotations

import pytest

from airside.engine.tensorrt_build import LIBRARIES
from eval import tensorrt_gate
from eval.tensorrt_gate import Network, examine


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    real = tensorrt_gate.random_backbone
    small = {"embed_dim": 32, "depth": 2, "num_heads": 2}
    monkeypatch.setattr(tensorrt_gate, "random_backbone", lambda name, **words: real(name, **words, **small))
    network = Network("vit_small_patch14_reg4_dinov2", 8, (8, 8, 8, 8), (0, 0, 1, 1))
    monkeypatch.setitem(tensorrt_gate.NETWORKS, "tiny", network)


def test_without_the_library_it_says_so() -> None:
    found = examine("tiny", 1, "float16", ("no_such_library",))
    assert (found.built, found.attentions) == (None, 2)
    assert "not built: TensorRT is not there" in found.said


def test_with_it_the_graph_is_built() -> None:
    for name in LIBRARIES:
        try:
            __import__(name)
        except ImportError:
            continue
        break
    else:
        pytest.skip("no TensorRT here: pip install tensorrt-rtx-cu13-libs tensorrt-rtx-cu13-bindings")
    found = examine("tiny", 2, "float16")
    assert found.built
    assert found.plan_mb is not None
