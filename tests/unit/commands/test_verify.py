"""No engine runs that has not repeated the stored outputs here; a changed weight is found; answers are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from airside.commands import detections
from airside.commands.detections import compare_detections
from airside.commands.engine_choice import ready_engine
from airside.engine import engines
from airside.engine.bundle import file_sha256, open_bundle, write_manifest
from airside.engine.engines import load_named
from airside.engine.verification import kept
from airside.errors import InputError, RefusedError, UsageError
from tests.builders import tiny_bundle

Call = Callable[..., SimpleNamespace]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "airside"


def perturb(model: Path, weight: str, factor: float) -> None:
    """Change one number of one weight, its largest, and seal the bundle again: only the stored outputs can tell."""
    manifest = open_bundle(model).manifest
    network = onnx.load(model / "model.onnx")
    (tensor,) = [t for t in network.graph.initializer if t.name == weight]
    values = numpy_helper.to_array(tensor).copy()
    values.flat[np.abs(values).argmax()] *= factor
    tensor.CopyFrom(numpy_helper.from_array(values, weight))
    onnx.save(network, model / "model.onnx")
    write_manifest(model, replace(manifest, network_sha256=file_sha256(model / "model.onnx")))


def test_a_table_an_output(tmp_path: Path, airside: Call, empty_cache: Path) -> None:
    model = tiny_bundle(tmp_path / "model", depth=True, bev=True)
    answer = airside("verify", model)
    assert (answer.code, answer.err) == (0, "")
    rows = {line.split()[0]: line for line in answer.out.splitlines() if line.endswith(" ok")}
    assert rows.keys() == {"tokens", "depth", "bev", "depth_probability"}
    assert "may run here" in answer.out
    told = json.loads(airside("verify", model, "--json").out)
    assert (told["passed"], told["engine"], told["precision"]) == (True, "onnxruntime", "float32")
    assert told["libraries"].keys() == {"onnxruntime"}
    assert [o["output"] for o in told["outputs"]] == ["tokens", "depth", "bev", "depth_probability"]
    assert all(o["cosine"] > 0.999999 and o["passed"] for o in told["outputs"])
    (file,) = (empty_cache / "verified").iterdir()
    assert json.loads(file.read_text())["key"] == told["key"]


@pytest.mark.parametrize(("weight", "output"), [("mix", "tokens"), ("metres", "depth")])
def test_a_perturbed_weight_is_caught(
    shop: SimpleNamespace, tmp_path: Path, airside: Call, weight: str, output: str
) -> None:
    model = tiny_bundle(tmp_path / "model", depth=True)
    perturb(model, weight, 1.02)
    answer = airside("verify", model)
    assert answer.code == RefusedError.exit_code
    assert f"FAILED: {output} differs" in answer.out
    refused = airside("run", shop.apron, "--model", model, "--bank", shop.bank, "--out", tmp_path / "out")
    assert refused.code == RefusedError.exit_code
    assert f"{output} differs" in refused.err
    assert f"airside verify {model} --engine onnxruntime" in refused.err
    assert not (tmp_path / "out").exists()


def test_an_untouched_weight_is_not(tmp_path: Path, airside: Call) -> None:
    model = tiny_bundle(tmp_path / "model", depth=True)
    perturb(model, "mix", 1.0)
    assert airside("verify", model).code == 0


def test_the_default_engine_is_verified_once_by_itself(shop: SimpleNamespace, airside: Call) -> None:
    words = ["run", shop.apron, *shop.common, "--max-ticks", "1", "--out", shop.path / "out"]
    first = airside(*words)
    assert first.code == 0
    assert first.err.count("held against the model's stored outputs: passed in") == 1
    second = airside(*words)
    assert (second.code, "held against" in second.err) == (0, False)


@pytest.fixture
def other_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = replace(engines.ENGINES["onnxruntime"], at_start=False)
    monkeypatch.setitem(engines.ENGINES, "other", kind)


@pytest.mark.usefixtures("other_vendor")
def test_another_engine_waits_for_the_command(shop: SimpleNamespace, airside: Call) -> None:
    words = ["run", shop.apron, *shop.common, "--engine", "other", "--max-ticks", "1", "--out", shop.path / "out"]
    refused = airside(*words)
    assert refused.code == RefusedError.exit_code
    assert f"run: airside verify {shop.model} --engine other" in refused.err
    assert airside("verify", shop.model, "--engine", "other").code == 0
    assert airside(*words).code == 0
    assert "engine other" in airside("doctor", *shop.common, "--out", shop.path).out


@pytest.mark.usefixtures("other_vendor")
def test_another_version_of_the_library_is_another_question(
    shop: SimpleNamespace, airside: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert airside("verify", shop.model, "--engine", "other").code == 0
    ready_engine(shop.model, "other")
    for change in ({"versions": lambda *_: {"onnxruntime": "0.1"}}, {"processor": lambda: "another"}):
        with monkeypatch.context() as patch:
            for name, value in change.items():
                patch.setattr(engines, name, value)
            with pytest.raises(RefusedError, match="has not been verified on this machine"):
                ready_engine(shop.model, "other")
    ready_engine(shop.model, "other")


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"key": 3}', None])
def test_a_damaged_answer_is_none(shop: SimpleNamespace, empty_cache: Path, damage: bytes | None) -> None:
    loaded = load_named("onnxruntime", open_bundle(shop.model))
    assert kept(loaded.identity) is None
    ready_engine(shop.model)
    answer = kept(loaded.identity)
    assert answer is not None
    assert answer.passed
    (file,) = (empty_cache / "verified").iterdir()
    file.write_bytes(damage if damage is not None else file.read_bytes().replace(b'"key": "', b'"key": "0'))
    assert kept(loaded.identity) is None


def test_a_cache_that_cannot_be_written(
    shop: SimpleNamespace, tmp_path: Path, airside: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    told = airside("verify", shop.model)
    assert told.code == 6
    assert "may run here" in told.out
    assert "could not be kept" in told.err
    assert "XDG_CACHE_HOME" in told.err
    ran = airside("run", shop.apron, *shop.common, "--max-ticks", "1", "--out", tmp_path / "out")
    assert ran.code == 0
    assert "done at every start" in ran.err
    doctor = airside("doctor", *shop.common, "--out", tmp_path)
    assert "are not remembered" in doctor.out
    assert doctor.code == 0


def test_words_that_make_no_sense(shop: SimpleNamespace, airside: Call) -> None:
    unknown = airside("verify", shop.model, "--engine", "abacus")
    assert (unknown.code, "wanted one of: onnxruntime" in unknown.err) == (UsageError.exit_code, True)
    alone = airside("verify", shop.model, "--bank", shop.bank)
    assert (alone.code, "go together" in alone.err) == (UsageError.exit_code, True)


def test_detections_are_compared(shop: SimpleNamespace, airside: Call, tmp_path: Path) -> None:
    words = ["verify", shop.model, "--bank", shop.bank, "--pictures", shop.apron, "--json"]
    seen = json.loads(airside(*words).out)["detections"]
    assert seen == {"pictures": 3, "agreement": 1.0, "score_gap": 0.0}
    (tmp_path / "none").mkdir()
    empty = airside(*words[:-2], tmp_path / "none")
    assert empty.code in (InputError.exit_code, UsageError.exit_code)


def test_another_answer_is_another_detection(shop: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = load_named("onnxruntime", open_bundle(shop.model)).engine
    real = detections._run
    runs: list[int] = []

    def blind(*words):  # type: ignore[no-untyped-def]
        runs.append(1)
        found = real(*words)
        return found if len(runs) == 1 else [((), np.ones_like(score)) for _, score in found]

    monkeypatch.setattr(detections, "_run", blind)
    seen = compare_detections(engine, engine, shop.bank, str(shop.apron))
    assert seen.agreement < 0.5
    assert seen.score_gap > 0.1
