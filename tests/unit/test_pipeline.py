"""The pipeline with a tiny engine: one record a tick, the newest snapshot from the next tick on; no silent failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from airside.alerts.jsonl import json_line
from airside.bank.bank import Calibration, PrototypeBank
from airside.bank.store import BankStore
from airside.config import CameraConfig, MountConfig, SiteConfig
from airside.engine.bundle import Manifest
from airside.engine.onnx import OnnxEngine, load_engine
from airside.enrolment.enrol import enrol
from airside.enrolment.support import SupportImage, mask_from_box
from airside.errors import InputError, MismatchError, UsageError
from airside.messages import Frame, HealthState, Kind, Sighting, TickRecord
from airside.ood.scoring import METHODS
from airside.pipeline import Pipeline
from tests.builders import apron_like_picture, taught_bank, tiny_bundle

RED, EMPTY = (200, 40, 30), None


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> OnnxEngine:
    return load_engine(tiny_bundle(tmp_path_factory.mktemp("pipeline") / "model"), 1)


@pytest.fixture(scope="module")
def taught(engine: OnnxEngine) -> PrototypeBank:
    return taught_bank(engine)


@pytest.fixture
def store(taught: PrototypeBank, tmp_path: Path) -> BankStore:
    store = BankStore(tmp_path / "bank")
    store.create(taught, "test", "first")
    return store


def _frame(colour: tuple[int, int, int] | None, number: int = 0, seed: int = 5) -> Frame:
    image, _ = apron_like_picture(np.random.default_rng([seed, number]), colour=colour)
    return Frame("front", image, 1_000_000_000 + number * 200_000_000, number)


def _pipeline(engine: OnnxEngine, store: BankStore, **options: object) -> Pipeline:
    return Pipeline(engine, store, site=SiteConfig(), **options)  # type: ignore[arg-type]


def _teach_tug(engine: OnnxEngine, store: BankStore) -> str:
    rng = np.random.default_rng(9)
    shown = [apron_like_picture(rng, colour=RED) for _ in range(5)]
    support = [SupportImage("", image, mask_from_box(box, image.shape[:2], "")) for image, box in shown]
    return store.commit(lambda b: enrol(b, engine, "tug", support, boxed=True)[0], "test", "tug").id


def _at_object(record: TickRecord, number: int, seed: int = 5) -> list[Sighting]:
    """Sightings, seldom two, that hold the middle of the box that :func:`_frame` drew."""
    _, (x0, y0, x1, y1) = apron_like_picture(np.random.default_rng([seed, number]), colour=RED)
    u, v = (x0 + x1) / 2, (y0 + y1) / 2
    boxes = ((s, s.region.box_px) for s in record.sightings)
    return [s for s, (a, b, c, d) in boxes if a <= u < c and b <= v < d]


@pytest.mark.parametrize("method", METHODS)
def test_one_finite_record_a_tick(engine: OnnxEngine, store: BankStore, method: str) -> None:
    pipeline = _pipeline(engine, store, method=method)
    for number, colour in enumerate((EMPTY, RED, EMPTY, RED)):
        frame = _frame(colour, number)
        tick = pipeline.tick(frame)
        record = tick.record
        json_line(record)  # refuses what is not finite
        assert (record.tick, record.camera, record.capture_ns) == (number, "front", frame.capture_ns)
        assert record.valid
        assert record.capture_ns < record.published_ns < record.expires_ns
        assert (record.bank_snapshot, record.method) == (store.head_id(), method)
        assert record.model_fingerprint == engine.manifest.fingerprint
        assert {"fit", "network", "bank_search", "regions", "alerts"} == record.timing_ms.keys()
        assert (tick.pixel_score.shape, tick.map.ood_score.shape) == ((56, 98), (4, 7))
        assert np.isfinite(tick.pixel_score).all()


def test_a_clear_apron_and_an_unknown_object(engine: OnnxEngine, store: BankStore) -> None:
    pipeline = _pipeline(engine, store)
    empty, red = pipeline.tick(_frame(EMPTY, 0)).record, pipeline.tick(_frame(RED, 1)).record
    assert (empty.health.state, empty.sightings) == (HealthState.OK, ())
    assert {s.region.kind for s in _at_object(red, 1)} == {Kind.UNKNOWN}
    assert red.level > empty.level
    assert _at_object(red, 1)[0].placement is None


def test_a_mounted_camera_gives_a_range(engine: OnnxEngine, store: BankStore) -> None:
    mount = CameraConfig("front", 196, 112, 98.0, 98.0, 97.5, 30.0, MountConfig((1.0, 0.0, 1.8)), 60.0)
    record = _pipeline(engine, store, mount=mount).tick(_frame(RED, 1)).record
    placement = _at_object(record, 1)[0].placement
    assert placement is not None
    assert 1 < placement.range_m < 60


def test_a_registered_object_is_named_from_the_next_tick_on(engine: OnnxEngine, store: BankStore) -> None:
    pipeline = _pipeline(engine, store)
    before = pipeline.tick(_frame(RED, 1)).record
    snapshot = _teach_tug(engine, store)
    after = pipeline.tick(_frame(RED, 2)).record
    assert {s.region.name for s in _at_object(before, 1)} == {"unknown"}
    assert {s.region.name for s in _at_object(after, 2)} == {"tug"}
    assert (before.bank_snapshot == snapshot, after.bank_snapshot == snapshot) == (False, True)
    assert pipeline.knowledge.snapshot == snapshot
    store.rollback("1")
    assert {s.region.name for s in _at_object(pipeline.tick(_frame(RED, 3)).record, 3)} == {"unknown"}


def _spoil_head(engine: OnnxEngine, store: BankStore) -> None:
    (store.path / "HEAD").write_bytes(b"nonsense")


def _lose_bank(engine: OnnxEngine, store: BankStore) -> None:
    store.path.rename(store.path.with_name("gone"))


def _damage_new_snapshot(engine: OnnxEngine, store: BankStore) -> None:
    _teach_tug(engine, store)
    newest = max((store.path / "snapshots").iterdir())
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 0xFF
    newest.write_bytes(data)


def _bank_of_another_model(engine: OnnxEngine, store: BankStore) -> None:
    store.commit(lambda bank: replace(bank, model_fingerprint="0" * 64), "test", "other")


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (_spoil_head, "CorruptError"),
        (_lose_bank, "UsageError"),
        (_damage_new_snapshot, "CorruptError"),
        (_bank_of_another_model, "MismatchError"),
    ],
)
def test_an_unreadable_snapshot_keeps_the_old_one_and_says_so(
    engine: OnnxEngine, store: BankStore, spoil: Callable[[OnnxEngine, BankStore], None], error: str
) -> None:
    pipeline = _pipeline(engine, store)
    first = pipeline.tick(_frame(RED, 0)).record
    spoil(engine, store)
    for number in (1, 2):
        record = pipeline.tick(_frame(RED, number)).record
        assert record.bank_snapshot == first.bank_snapshot
        assert (record.health.state, record.valid) == (HealthState.DEGRADED, True)
        assert record.health.reasons == (f"bank_unreadable_{error}",)
        assert {s.region.kind for s in _at_object(record, number)} == {Kind.UNKNOWN}
    assert f"bank_unreadable_{error}" in pipeline.blind_record("front", 0, "no_frame").health.reasons


@pytest.mark.parametrize(
    "calibrations", [(), (Calibration("default", np.nan, np.nan, 0),), (Calibration("knn", 0.4, 0.1, 9),)]
)
def test_an_uncalibrated_method_says_so(
    engine: OnnxEngine, store: BankStore, calibrations: tuple[Calibration, ...]
) -> None:
    store.commit(lambda bank: replace(bank, calibrations=calibrations), "test", "uncalibrated")
    tick = _pipeline(engine, store).tick(_frame(EMPTY))
    assert tick.record.health.state is HealthState.DEGRADED
    assert tick.record.health.reasons == ("threshold_uncalibrated",)
    assert tick.threshold == METHODS["default"].uncalibrated_threshold


def test_a_novel_scene_is_said_once_and_not_as_objects(engine: OnnxEngine, store: BankStore) -> None:
    rng = np.random.default_rng(0)
    colours = np.stack(
        [np.full((112, 196), 190.0), np.full((112, 196), 30.0), np.linspace(20, 60, 196)[None].repeat(112, 0)], 2
    )
    jungle = np.clip(colours + rng.normal(0, 6, colours.shape), 0, 255).astype(np.uint8)
    tick = _pipeline(engine, store).tick(Frame("front", jungle, 1, 0))
    assert (tick.map.ood_score > tick.threshold).mean() > 0.9
    assert tick.record.health.state is HealthState.DEGRADED
    assert "novel_scene" in tick.record.health.reasons
    assert all(s.region.kind is Kind.KNOWN for s in tick.record.sightings)


def test_a_frozen_camera_goes_blind(engine: OnnxEngine, store: BankStore) -> None:
    pipeline = _pipeline(engine, store)
    states = [pipeline.tick(_frame(EMPTY, 0)).record.health.state for _ in range(10)]
    assert states == [HealthState.OK] * 2 + [HealthState.DEGRADED] * 7 + [HealthState.BLIND]
    assert pipeline.tick(_frame(EMPTY, 1)).record.valid


def test_a_black_picture_is_not_valid(engine: OnnxEngine, store: BankStore) -> None:
    record = _pipeline(engine, store).tick(Frame("front", np.zeros((112, 196, 3), np.uint8), 1, 0)).record
    assert (record.valid, record.health.state) == (False, HealthState.BLIND)


class _BrokenEngine:
    """Says NaN from the second picture on."""

    def __init__(self, engine: OnnxEngine) -> None:
        self.engine, self.calls = engine, 0

    @property
    def manifest(self) -> Manifest:
        return self.engine.manifest

    def tokens(self, images: np.ndarray) -> np.ndarray:
        tokens = self.engine.tokens(images)
        self.calls += 1
        if self.calls == 2:
            tokens[0, 1, 2, 3] = np.nan
        return tokens


def test_tokens_that_are_not_finite_are_refused_and_counted_as_blind(engine: OnnxEngine, store: BankStore) -> None:
    pipeline = Pipeline(_BrokenEngine(engine), store, site=SiteConfig())
    pipeline.tick(_frame(EMPTY, 0))
    with pytest.raises(InputError, match="not finite; check with: airside doctor"):
        pipeline.tick(_frame(EMPTY, 1))
    blind = pipeline.blind_record("front", 77, "tokens_not_finite")
    assert (blind.tick, blind.valid, blind.health.state) == (1, False, HealthState.BLIND)
    assert blind.health.reasons == ("tokens_not_finite",)
    assert (blind.sightings, blind.capture_ns, blind.expires_ns > 77) == ((), 77, True)
    assert pipeline.tick(_frame(EMPTY, 2)).record.tick == 2  # the next picture is judged as always


def test_a_bank_of_another_model_is_refused(engine: OnnxEngine, store: BankStore) -> None:
    _bank_of_another_model(engine, store)
    with pytest.raises(MismatchError, match=rf"airside bank migrate --bank {store.path} --model /m"):
        _pipeline(engine, store, model_path="/m")


def test_an_unknown_method_is_refused(engine: OnnxEngine, store: BankStore) -> None:
    with pytest.raises(UsageError, match="unknown method 'magic'; choose one of default"):
        _pipeline(engine, store, method="magic")
