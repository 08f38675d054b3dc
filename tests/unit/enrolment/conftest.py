"""A real engine on a tiny bundle, and the bank it made; both are values nobody changes."""

from __future__ import annotations

import pytest

from airside.bank.bank import PrototypeBank
from airside.engine.onnx import OnnxEngine, load_engine
from tests.builders import taught_bank, tiny_bundle


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> OnnxEngine:
    return load_engine(tiny_bundle(tmp_path_factory.mktemp("enrolment") / "model"), 1)


@pytest.fixture(scope="session")
def bank(engine: OnnxEngine) -> PrototypeBank:
    return taught_bank(engine)
