"""The pipeline with a tiny engine: one record a tick, the newest snapshot from the next tick on; no silent failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airside import pipeline as pipeline_module
from airside.alerts.jsonl import json_line
from airside.bank.bank import Calibration, PrototypeBank
from airside.bank.store import BankStore
from airside.cameras.fit import fit_to_network
from airside.config import CameraConfig, MountConfig, SiteConfig
from airside.engine.bundle import Manifest
from airside.engine.engine import BevMaps, NetworkOutput
from airside.engine.onnx import OnnxEngine, load_engine
from airside.enrolment.enrol import enrol
from airside.enrolment.support import SupportImage, mask_from_box
from airside.errors import MismatchError, UsageError
from airside.geometry.bev_view import BevView
from airside.geometry.lift_map import depth_probability_from_metric
from airside.messages import Frame, FrameBundle, HealthState, Kind, RangeSource, Sighting, TickRecord
from airside.ood.scoring import METHODS
from airside.perception import CameraView
from airside.pipeline import Pipeline, Tick
from airside.workload import Workload
from tests.builders import TINY_BEV, apron_like_picture, taught_bank, tiny_bundle

RED, EMPTY = (200, 40, 30), None
MOUNT = CameraConfig("front", 196, 112, 98.0, 98.0, 97.5, 30.0, MountConfig((1.0, 0.0, 1.8)), 60.0)


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


@dataclass(frozen=True)
class Made:
    engine: OnnxEngine
    store: BankStore


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """An engine with depth and bird's-eye view, and its bank."""
    path = tmp_path_factory.mktemp("full")
    engine = load_engine(tiny_bundle(path / "model", depth=True, bev=True), 1)
    store = BankStore(path / "bank")
    store.create(taught_bank(engine), "test", "first")
    return Made(engine, store)


def _frame(colour: tuple[int, int, int] | None, number: int = 0, seed: int = 5) -> Frame:
    image, _ = apron_like_picture(np.random.default_rng([seed, number]), colour=colour)
    return Frame("front", image, 1_000_000_000 + number * 200_000_000, number)


class _OneCamera(Pipeline):
    """A pipeline of one camera, ``front``, that is given frames; each counts as newer than the last."""

    def __init__(self, *args: Any, mount: CameraConfig | None = None, **options: Any) -> None:
        super().__init__(*args, rig={"front": mount}, **options)
        self.given = 0

    def see(self, frame: Frame) -> Tick:
        self.given += 1
        return self.tick(FrameBundle(frame.capture_ns, (replace(frame, index=self.given),)))

    def see_one(self, frame: Frame) -> tuple[Tick, CameraView]:
        tick = self.see(frame)
        (view,) = tick.views
        return tick, view


def _pipeline(engine: OnnxEngine, store: BankStore, **options: object) -> _OneCamera:
    return _OneCamera(engine, store, site=SiteConfig(), **options)


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
        tick, view = pipeline.see_one(frame)
        record = tick.record
        json_line(record)  # refuses what is not finite
        assert (record.tick, record.cameras[0].camera, record.capture_ns) == (number, "front", frame.capture_ns)
        assert record.valid
        assert record.now_ns == record.capture_ns == record.published_ns < record.expires_ns
        assert record.timing_ms == {}  # a recording gives the same record every time
        assert (record.bank_snapshot, record.method) == (store.head_id(), method)
        assert record.model_fingerprint == engine.manifest.fingerprint
        assert {"fit", "network", "bank_search", "regions", "alerts"} <= tick.timing_ms.keys()
        assert (view.pixel_score().shape, view.map.ood_score.shape) == ((56, 98), (4, 7))
        assert np.isfinite(view.pixel_score()).all()


def test_a_clear_apron_and_an_unknown_object(engine: OnnxEngine, store: BankStore) -> None:
    pipeline = _pipeline(engine, store)
    empty, red = pipeline.see(_frame(EMPTY, 0)).record, pipeline.see(_frame(RED, 1)).record
    assert (empty.health.state, empty.sightings) == (HealthState.OK, ())
    assert {s.region.kind for s in _at_object(red, 1)} == {Kind.UNKNOWN}
    assert red.level > empty.level
    assert _at_object(red, 1)[0].placement is None


def test_a_mounted_camera_gives_a_range(engine: OnnxEngine, store: BankStore) -> None:
    pipeline = _pipeline(engine, store, mount=MOUNT)
    tick, view = pipeline.see_one(_frame(RED, 1))
    placement = _at_object(tick.record, 1)[0].placement
    assert placement is not None
    assert 1 < placement.range_m < 60
    assert (placement.source, len(placement.footprint_xy_m)) == (RangeSource.GROUND, 4)
    assert placement.covariance_m2[0] > 0 < placement.covariance_m2[2]
    assert placement.height_m >= 0
    assert (view.depth_m, tick.bev, tick.occupancy, view.view is None) == (None, None, None, False)
    assert len(pipeline.without) == 3
    assert "airside bank calibrate CLEAN --rig" in pipeline.without[-1]
    assert "bev" not in tick.timing_ms


def test_depth_and_birds_eye_view_where_the_model_has_them(full: Made) -> None:
    pipeline = _pipeline(full.engine, full.store, mount=MOUNT)
    assert len(pipeline.without) == 1  # the bank has no threshold for the path
    frame = _frame(RED, 1)
    tick, view = pipeline.see_one(frame)
    json_line(tick.record)
    assert {"depth", "fusion", "bev"} <= tick.timing_ms.keys()
    net = fit_to_network(frame.image, 56, 98, 14)
    told = full.engine.outputs(net.image[None]).depth
    assert told is not None
    assert view.depth_m is not None
    np.testing.assert_allclose(view.depth_m, told[0] * (49.0 / 98.0), rtol=1e-6)  # fx 98 px at twice the size
    assert tick.bev is not None
    assert (tick.bev.names, tick.bev.layers.shape, tick.bev.unknown.shape) == (TINY_BEV.layers, (2, 30, 20), (30, 20))
    seen = np.isfinite(tick.bev.unknown)
    assert 0 < seen.sum() < seen.size
    assert not seen[TINY_BEV.grid.centres_xy_m()[..., 0] < 0].any()  # behind the camera
    sources = {s.placement.source for s in tick.record.sightings if s.placement is not None}
    assert sources & {RangeSource.DEPTH, RangeSource.BOTH, RangeSource.GROUND}


def test_without_a_rig_depth_means_nothing_yet(full: Made) -> None:
    pipeline = _pipeline(full.engine, full.store)
    tick, view = pipeline.see_one(_frame(RED, 1))
    assert (view.depth_m, tick.bev, view.view) == (None, None, None)
    assert tick.record.alerts == ()
    assert all(s.placement is None for s in tick.record.sightings)
    assert len(pipeline.without) == 1


def test_the_view_from_above_is_worked_out_once_a_frame_size(full: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, ...]] = []
    real = pipeline_module.viewpoint

    def counted(mount: Any, manifest: Any, shape: tuple[int, ...], net: Any) -> Any:
        made.append(shape)
        return real(mount, manifest, shape, net)

    monkeypatch.setattr(pipeline_module, "viewpoint", counted)
    pipeline = _pipeline(full.engine, full.store, mount=MOUNT)
    small = _frame(EMPTY, 3)
    small = replace(small, image=np.ascontiguousarray(small.image[::2, ::2]))
    for frame in (_frame(EMPTY, 0), _frame(EMPTY, 1), small, replace(small, index=4)):
        pipeline.see(frame)
    assert made == [(112, 196, 3), (56, 98, 3)]


def test_letterbox_bars_are_never_seen_from_above(full: Made) -> None:
    """A square picture in a wide network: only its patches are lifted."""
    square = CameraConfig("front", 112, 112, 98.0, 98.0, 55.5, 55.5, MountConfig((1.0, 0.0, 1.8)), 60.0)
    image = np.ascontiguousarray(_frame(RED, 1).image[:, 40:152])
    tick = _pipeline(full.engine, full.store, mount=square).see(Frame("front", image, 1, 0))
    wide = _pipeline(full.engine, full.store, mount=MOUNT).see(_frame(RED, 1))
    assert tick.bev is not None
    assert wide.bev is not None
    centres = TINY_BEV.grid.centres_xy_m()
    beyond = np.abs(centres[..., 1]) > 0.6 * np.abs(centres[..., 0])  # half the picture is 0.57 of its focal length
    assert np.isnan(tick.bev.unknown[beyond]).all()
    assert (tick.bev.layers[:, beyond] == 0).all()
    assert (wide.bev.layers[:, beyond] > 0).any()
    assert np.isfinite(wide.bev.unknown[beyond]).any()


def test_a_camera_of_another_shape_than_the_rig_s_is_not_looked_at(full: Made) -> None:
    image = np.ascontiguousarray(_frame(RED, 1).image[:, :112])
    pipeline = _pipeline(full.engine, full.store, mount=MOUNT)
    odd = pipeline.see(Frame("front", image, 1, 0))
    assert (odd.views, odd.record.valid, odd.record.health.reasons) == ((), False, ("wrong_size",))
    assert pipeline.see(_frame(RED, 2)).record.valid  # one odd picture ends no run


def test_a_registered_object_is_named_from_the_next_tick_on(engine: OnnxEngine, store: BankStore) -> None:
    pipeline = _pipeline(engine, store)
    before = pipeline.see(_frame(RED, 1)).record
    snapshot = _teach_tug(engine, store)
    after = pipeline.see(_frame(RED, 2)).record
    assert {s.region.name for s in _at_object(before, 1)} == {"unknown"}
    assert {s.region.name for s in _at_object(after, 2)} == {"tug"}
    assert (before.bank_snapshot == snapshot, after.bank_snapshot == snapshot) == (False, True)
    assert pipeline.knowledge.snapshot == snapshot
    store.rollback("1")
    assert {s.region.name for s in _at_object(pipeline.see(_frame(RED, 3)).record, 3)} == {"unknown"}


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
    first = pipeline.see(_frame(RED, 0)).record
    spoil(engine, store)
    for number in (1, 2):
        record = pipeline.see(_frame(RED, number)).record
        assert record.bank_snapshot == first.bank_snapshot
        assert (record.health.state, record.valid) == (HealthState.DEGRADED, True)
        assert record.health.reasons == (f"bank_unreadable_{error}",)
        assert {s.region.kind for s in _at_object(record, number)} == {Kind.UNKNOWN}
    empty = pipeline.tick(FrameBundle(2_000_000_000, ())).record
    assert (empty.valid, empty.health.reasons) == (False, ("no_frame", f"bank_unreadable_{error}"))


@pytest.mark.parametrize(
    "calibrations", [(), (Calibration("default.2", np.nan, np.nan, 0),), (Calibration("default", 0.4, 0.1, 9),)]
)
def test_an_uncalibrated_method_says_so(
    engine: OnnxEngine, store: BankStore, calibrations: tuple[Calibration, ...]
) -> None:
    store.commit(lambda bank: replace(bank, calibrations=calibrations), "test", "uncalibrated")
    tick = _pipeline(engine, store).see(_frame(EMPTY))
    assert tick.record.health.state is HealthState.DEGRADED
    assert tick.record.health.reasons == ("threshold_uncalibrated",)
    assert tick.threshold == METHODS["default"].uncalibrated_threshold


def test_a_novel_scene_is_said_once_and_not_as_objects(engine: OnnxEngine, store: BankStore) -> None:
    rng = np.random.default_rng(0)
    colours = np.stack(
        [np.full((112, 196), 190.0), np.full((112, 196), 30.0), np.linspace(20, 60, 196)[None].repeat(112, 0)], 2
    )
    jungle = np.clip(colours + rng.normal(0, 6, colours.shape), 0, 255).astype(np.uint8)
    tick, view = _pipeline(engine, store).see_one(Frame("front", jungle, 1, 0))
    assert (view.map.ood_score > tick.threshold).mean() > 0.9
    assert tick.record.health.state is HealthState.DEGRADED
    assert "novel_scene" in tick.record.health.reasons
    assert all(s.region.kind is Kind.KNOWN for s in tick.record.sightings)


def test_a_frozen_camera_goes_blind(engine: OnnxEngine, store: BankStore) -> None:
    pipeline = _pipeline(engine, store)
    states = [pipeline.see(_frame(EMPTY, 0)).record.health.state for _ in range(10)]
    assert states == [HealthState.OK] * 2 + [HealthState.DEGRADED] * 7 + [HealthState.BLIND]
    assert pipeline.see(_frame(EMPTY, 1)).record.valid


def test_a_black_picture_is_not_valid(engine: OnnxEngine, store: BankStore) -> None:
    record = _pipeline(engine, store).see(Frame("front", np.zeros((112, 196, 3), np.uint8), 1, 0)).record
    assert (record.valid, record.health.state) == (False, HealthState.BLIND)


class _BrokenEngine:
    """Says NaN in ``what`` for the second picture."""

    def __init__(self, engine: OnnxEngine, what: str) -> None:
        self.engine, self.what, self.calls = engine, what, 0
        self.measured: list[np.ndarray | None] = []

    def tokens(self, images: np.ndarray) -> np.ndarray:
        return self.engine.tokens(images)

    @property
    def manifest(self) -> Manifest:
        return self.engine.manifest

    def outputs(self, images: np.ndarray) -> NetworkOutput:
        self.calls += 1
        return self._spoilt(self.engine.outputs(images))

    def bev(self, tokens: np.ndarray, view: BevView, measured: np.ndarray | None = None) -> BevMaps:
        self.measured.append(measured)
        return self._spoilt(self.engine.bev(tokens, view, measured))

    def _spoilt(self, found: Any) -> Any:
        if self.calls != 2 or not hasattr(found, self.what):
            return found
        values = getattr(found, self.what).copy()
        values.flat[7] = np.nan
        return replace(found, **{self.what: values})


def test_the_birds_eye_view_is_made_every_so_many_ticks(full: Made) -> None:
    pipeline = _OneCamera(full.engine, full.store, site=SiteConfig(bev_every=3), mount=MOUNT)
    ticks = [pipeline.see(_frame(RED if number % 2 else EMPTY, number)) for number in range(5)]
    assert ["bev" in tick.timing_ms for tick in ticks] == [True, False, False, True, False]
    assert ticks[0].bev is ticks[1].bev is ticks[2].bev is not None
    assert ticks[3].bev is ticks[4].bev is not ticks[2].bev


def test_the_birds_eye_view_is_told_the_depth_that_was_measured_in_its_tick(full: Made) -> None:
    engine = _BrokenEngine(full.engine, "nothing")
    pipeline = _OneCamera(engine, full.store, site=SiteConfig(bev_every=1), mount=MOUNT)
    _, view = pipeline.see_one(_frame(RED, 0))
    assert view.depth_m is not None
    spec = full.engine.manifest.bev
    assert spec is not None
    wanted = depth_probability_from_metric(view.depth_m[None], full.engine.manifest.grid, spec.bins)
    assert wanted.sum() > 0
    np.testing.assert_array_equal(engine.measured[0], wanted)
    bundle = FrameBundle(1_000_000_000, (replace(_frame(RED, 1), index=9, capture_ns=1_000_000_000),))
    pipeline.tick(bundle, Workload(depth=False))
    assert engine.measured[1] is None


@pytest.mark.parametrize("what", ["tokens", "depth"])
def test_what_is_not_finite_is_never_looked_at(full: Made, what: str) -> None:
    pipeline = _OneCamera(_BrokenEngine(full.engine, what), full.store, site=SiteConfig(bev_every=1), mount=MOUNT)
    pipeline.see(_frame(EMPTY, 0))
    tick = pipeline.see(_frame(EMPTY, 1))
    assert (tick.record.tick, tick.record.valid, tick.record.health.state) == (1, False, HealthState.BLIND)
    assert tick.record.health.reasons == ("network_not_finite",)
    assert (tick.views, tick.record.sightings, tick.bev) == ((), (), None)
    assert tick.occupancy is not None
    assert (tick.occupancy.cells == -1).all()
    assert pipeline.see(_frame(EMPTY, 2)).record.valid  # the next picture is judged as always


@pytest.mark.parametrize("what", ["layers", "depth_probability"])
def test_a_view_from_above_that_is_not_finite_has_seen_nothing(full: Made, what: str) -> None:
    pipeline = _OneCamera(_BrokenEngine(full.engine, what), full.store, site=SiteConfig(bev_every=1), mount=MOUNT)
    ticks = [pipeline.see(_frame(EMPTY, number)) for number in range(3)]
    observed = [bool((tick.occupancy.cells >= 0).any()) for tick in ticks if tick.occupancy is not None]
    assert observed == [True, False, True]
    assert ticks[1].bev is None


def test_a_bank_of_another_model_is_refused(engine: OnnxEngine, store: BankStore) -> None:
    _bank_of_another_model(engine, store)
    with pytest.raises(MismatchError, match=rf"airside bank migrate --bank {store.path} --model /m"):
        _pipeline(engine, store, model_path="/m")


def test_an_unknown_method_is_refused(engine: OnnxEngine, store: BankStore) -> None:
    with pytest.raises(UsageError, match="unknown method 'magic'; choose one of default"):
        _pipeline(engine, store, method="magic")
