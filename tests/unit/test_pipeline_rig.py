"""The pipeline with several cameras: one pass for all, one object for all, and a camera less is said and never free."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airside import pipeline as pipeline_module
from airside.alerts.jsonl import json_line
from airside.bank.bank import Calibration
from airside.bank.store import BankStore
from airside.config import CameraConfig, MountConfig, SiteConfig
from airside.engine.engine import NetworkOutput
from airside.engine.onnx import OnnxEngine, load_engine
from airside.messages import Frame, FrameBundle, Health, HealthState, Kind, Level, Region
from airside.ood.path import PATH
from airside.perception import CameraView
from airside.pipeline import Pipeline, Tick
from airside.tracking.tracker import CONFIRM_FAINT_S
from airside.workload import Workload
from tests.builders import TINY_BEV, apron_like_picture, taught_bank, tiny_bundle

RED = (200, 40, 30)
TICK_NS = 200_000_000
LASTED = 1 + round(CONFIRM_FAINT_S * 1e9 / TICK_NS)  # ticks until what is faint has lasted long enough


def camera(name: str, yaw_deg: float) -> CameraConfig:
    return CameraConfig(name, 196, 112, 98.0, 98.0, 97.5, 30.0, MountConfig((0.0, 0.0, 1.8), yaw_deg=yaw_deg), 60.0)


RIG = {"front": camera("front", 0.0), "rear": camera("rear", 180.0)}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> OnnxEngine:
    return load_engine(tiny_bundle(tmp_path_factory.mktemp("rig") / "model", depth=True, bev=True), 1)


@pytest.fixture
def pipeline(engine: OnnxEngine, tmp_path: Path) -> Pipeline:
    store = BankStore(tmp_path / "bank")
    store.create(taught_bank(engine), "test", "first")
    return Pipeline(engine, store, site=SiteConfig(bev_every=1), rig=RIG)


def frame(name: str, tick: int, colour: tuple[int, int, int] | None = None, **changes: Any) -> Frame:
    seed = {"front": 5, "rear": 6}[name]
    image, _ = apron_like_picture(np.random.default_rng([seed, tick]), colour=colour)
    return replace(Frame(name, image, tick * TICK_NS, tick), **changes)


def bundle(tick: int, *frames: Frame) -> FrameBundle:
    return FrameBundle(tick * TICK_NS, frames)


def both(tick: int, colour: tuple[int, int, int] | None = None) -> FrameBundle:
    return bundle(tick, frame("front", tick, colour), frame("rear", tick))


def test_one_pass_for_all_cameras(pipeline: Pipeline, engine: OnnxEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    real = engine.outputs

    def counted(images: np.ndarray) -> NetworkOutput:
        passes.append(len(images))
        return real(images)

    monkeypatch.setattr(engine, "outputs", counted)
    tick = pipeline.tick(both(1, RED))
    assert passes == [2]
    assert [view.frame.camera for view in tick.views] == ["front", "rear"]
    assert [(c.camera, c.observed, c.health.state) for c in tick.record.cameras] == [
        ("front", True, HealthState.OK),
        ("rear", True, HealthState.OK),
    ]
    assert {s.camera for s in tick.record.sightings} <= {"front", "rear"}
    json_line(tick.record)


def test_a_thing_ahead_is_tracked_and_its_sighting_has_its_level(pipeline: Pipeline) -> None:
    seen = [pipeline.tick(bundle(k, frame("front", 1, RED, index=k, capture_ns=k * TICK_NS))) for k in range(1, 4)]
    unknown = [[a for a in tick.record.alerts if a.track.kind is Kind.UNKNOWN] for tick in seen]
    assert all(unknown)
    assert [alerts[0].track.confirmed for alerts in unknown] == [False, True, True]
    assert len({alerts[0].track.id for alerts in unknown}) == 1
    first = unknown[-1][0]
    (sighting,) = [s for s in seen[-1].record.sightings if s.track_id == first.track.id]
    assert (sighting.level, sighting.reasons) == (first.level, first.reasons)
    assert sighting.placement is not None
    assert first.track.range_m == pytest.approx(sighting.placement.range_m, rel=0.2)
    assert seen[-1].record.level >= Level.NOTICE


def test_a_camera_that_is_not_there_is_said_and_its_side_is_never_free(pipeline: Pipeline) -> None:
    tick = pipeline.tick(bundle(1, frame("front", 1)))
    assert (tick.record.health.state, tick.record.health.reasons) == (HealthState.DEGRADED, ("rear_no_frame",))
    assert tick.record.valid
    assert tick.occupancy is not None
    behind = TINY_BEV.grid.centres_xy_m()[..., 0] < 0
    assert (tick.occupancy.cells[behind] == -1).all()
    assert (tick.occupancy.cells[~behind] >= 0).any()
    whole = pipeline.tick(both(2)).occupancy
    assert whole is not None
    assert (whole.cells[behind] >= 0).any()  # and is back without a restart


def test_without_the_cameras_ahead_the_vehicle_is_blind(pipeline: Pipeline) -> None:
    record = pipeline.tick(bundle(1, frame("rear", 1))).record
    assert (record.valid, record.health.state, record.health.reasons) == (
        False,
        HealthState.BLIND,
        ("front_no_frame",),
    )
    nothing = pipeline.tick(bundle(2))
    assert (nothing.record.health.state, nothing.views) == (HealthState.BLIND, ())
    assert nothing.record.expires_ns > nothing.record.now_ns
    assert nothing.record.capture_ns == record.capture_ns  # what was seen gets older


def test_a_tick_that_saw_nothing_takes_back_what_read_as_free(pipeline: Pipeline) -> None:
    pipeline.tick(both(1))
    grids = [pipeline.tick(bundle(2 + k)).occupancy for k in range(2)]
    assert [grid is not None and bool((grid.cells == -1).all()) for grid in grids] == [True, True]


def test_cameras_slower_than_the_ticks_take_nothing_back(pipeline: Pipeline) -> None:
    pipeline.tick(both(1))
    waiting = pipeline.tick(bundle(2, *both(1).frames))
    assert (waiting.record.health.state, waiting.occupancy) == (HealthState.OK, None)  # the last grid holds
    assert waiting.bev is not None


def test_a_black_camera_ahead_that_is_slower_than_the_ticks_never_reads_as_well(pipeline: Pipeline) -> None:
    pipeline.tick(both(1))
    black = Frame("front", np.zeros_like(frame("front", 2).image), 2 * TICK_NS, 2)
    states = [pipeline.tick(bundle(k, black, frame("rear", k))).record for k in (2, 3)]
    assert [(record.valid, record.health.state) for record in states] == [(False, HealthState.BLIND)] * 2


def test_a_scene_that_turns_novel_does_not_clear_what_was_feared(pipeline: Pipeline) -> None:
    for k in range(1, 5):
        seen = pipeline.tick(bundle(k, frame("front", 1, RED, index=k, capture_ns=k * TICK_NS)))
    feared = {alert.track.id for alert in seen.record.alerts if alert.level >= Level.CAUTION}
    assert feared
    height, width = seen.views[0].frame.image.shape[:2]
    colours = np.stack([np.full((height, width), level) for level in (190.0, 30.0, 40.0)], axis=-1)
    for k in range(5, 12):  # longer than a track lives where a camera looks and does not see it
        jungle = colours + np.random.default_rng(k).normal(0, 6, colours.shape)
        seen = pipeline.tick(bundle(k, Frame("front", jungle.clip(0, 255).astype(np.uint8), k * TICK_NS, k)))
        assert "front_novel_scene" in seen.record.health.reasons
    assert feared <= {alert.track.id for alert in seen.record.alerts if alert.level >= Level.CAUTION}


def test_what_a_novel_scene_knows_is_no_name_for_what_was_feared(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen(k: int) -> Tick:
        return pipeline.tick(bundle(k, frame("front", 1, RED, index=k, capture_ns=k * TICK_NS)))

    before = [seen(k) for k in range(1, 5)][-1].record
    feared = {alert.track.id for alert in before.alerts if alert.level >= Level.CAUTION}
    assert feared
    novel = Health(HealthState.DEGRADED, ("novel_scene",))
    real = pipeline_module.perceived

    def as_novel(*given: Any) -> CameraView:
        view = real(*given)
        named = tuple(replace(region, kind=Kind.KNOWN, nearest_class="tug") for region in view.regions)
        return replace(view, regions=named, scene=novel)

    monkeypatch.setattr(pipeline_module, "perceived", as_novel)
    last = [seen(k) for k in range(5, 12)][-1].record
    still = {alert.track.id for alert in last.alerts if alert.level >= Level.CAUTION and alert.track.name == "unknown"}
    assert feared <= still


def test_a_stale_frame_is_not_looked_at_again(pipeline: Pipeline) -> None:
    first = bundle(1, frame("front", 1), frame("rear", 1))
    pipeline.tick(first)
    fresh = frame("front", 2)
    waiting = pipeline.tick(bundle(2, fresh, first.frames[1])).record
    assert (waiting.cameras[1].observed, waiting.health.state) == (False, HealthState.OK)
    late = pipeline.tick(bundle(3, frame("front", 3), first.frames[1]))
    assert (late.record.cameras[1].health.reasons, late.record.health.state) == (("stale",), HealthState.DEGRADED)


def test_a_camera_left_out_is_looked_at_in_its_turn(pipeline: Pipeline) -> None:
    shed = Workload(skipped=frozenset({"rear"}))
    assert [s.observed for s in pipeline.tick(both(1), shed).record.cameras] == [True, False]
    # The same picture is still new to the camera's turn.
    again = bundle(1, frame("front", 2, capture_ns=TICK_NS), frame("rear", 1))
    assert [s.observed for s in pipeline.tick(again).record.cameras] == [True, True]


def test_depth_is_left_out_where_there_is_too_much_to_do(pipeline: Pipeline) -> None:
    tick = pipeline.tick(both(1, RED), Workload(depth=False))
    assert all(view.depth_m is None for view in tick.views)
    assert any(s.placement is not None for s in tick.record.sightings)  # from the ground


def far_speck(tick: int, side_px: int = 28) -> Frame:
    """A frame with four times the pixels a side that the network takes, and a small thing 20 m ahead."""
    image, _ = apron_like_picture(np.random.default_rng(3), size=(784, 448), colour=None)
    u, foot = 391, round(30.0 * 4 + 1.5 + 4 * 98.0 * 1.8 / 20.0)
    image[foot - side_px : foot, u - side_px // 2 : u + side_px // 2] = RED
    return Frame("front", image, tick * TICK_NS, tick)


WINDOW = (293, 101, 196, 112)  # around the speck; the tiny network is too small to have one by itself


def closer_pipeline(engine: OnnxEngine, folder: Path, threshold: float, site_threshold: float = 0.008) -> Pipeline:
    bank = taught_bank(engine)
    (own,) = bank.calibrations
    path = Calibration(own.method + PATH, threshold, 0.03, 200)
    store = BankStore(folder)
    store.create(replace(bank, calibrations=(replace(own, threshold=site_threshold), path)), "test", "first")
    return Pipeline(engine, store, site=SiteConfig(bev_every=1), rig=RIG)


def on_path(tick: Tick) -> list[Region]:
    return [s.region for s in tick.record.sightings if s.region.faint]


def test_what_is_too_small_for_the_whole_picture_is_seen_in_the_path_s_window(
    engine: OnnxEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, again = (closer_pipeline(engine, tmp_path / name, 0.3) for name in ("one", "two"))
    passes: list[int] = []
    real = engine.tokens

    def counted(images: np.ndarray) -> np.ndarray:
        passes.append(len(images))
        return real(images)

    monkeypatch.setattr(engine, "tokens", counted)
    monkeypatch.setattr("airside.pipeline.window_of", lambda views, half_width_m, reach_m: (0, WINDOW))
    for k in range(1, LASTED + 1):
        assert on_path(pipeline.tick(bundle(k, far_speck(k)), Workload(closer=False))) == []
    assert passes == []
    for k in range(1, LASTED):
        assert on_path(again.tick(bundle(k, far_speck(k)))) == []  # one faint patch is nothing until it has lasted
    tick = again.tick(bundle(LASTED, far_speck(LASTED)))
    assert passes == [1] * LASTED
    (region,) = on_path(tick)
    assert tick.record.level is Level.CAUTION
    (x0, y0, x1, y1), middle = region.box_px, (391.0, 120 + 1.5 + 4 * 98.0 * 1.8 / 20.0 - 14)
    assert x0 - 14 < middle[0] < x1 + 14
    assert y0 - 14 < middle[1] < y1 + 14
    (sighting,) = [s for s in tick.record.sightings if s.region is region]
    assert sighting.placement is not None
    assert sighting.placement.xyz_ego_m[0] == pytest.approx(20.0, rel=0.25)


@pytest.mark.parametrize(("site_threshold", "told"), [(0.6, 1), (0.7, 0)])  # the speck's patch has 0.67 there
def test_the_window_asks_for_the_site_s_threshold_where_that_is_higher(
    engine: OnnxEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site_threshold: float, told: int
) -> None:
    pipeline = closer_pipeline(engine, tmp_path / "bank", 0.3, site_threshold)
    monkeypatch.setattr("airside.pipeline.window_of", lambda views, half_width_m, reach_m: (0, WINDOW))
    ticks = [pipeline.tick(bundle(k, far_speck(k))) for k in range(1, LASTED + 1)]
    assert len(on_path(ticks[-1])) == told


def test_under_overload_no_tick_has_both_the_view_from_above_and_the_closer_look(
    engine: OnnxEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = closer_pipeline(engine, tmp_path / "bank", 0.3)
    monkeypatch.setattr("airside.pipeline.window_of", lambda views, half_width_m, reach_m: (0, WINDOW))
    monkeypatch.setattr("airside.pipeline.with_window", lambda seen, *given: closer.append(True) or seen)
    closer: list[bool] = []
    for k, slower in enumerate((1, 1, 4, 4, 4, 4, 4)):  # bev_every is 1
        before = len(closer)
        tick = pipeline.tick(bundle(k + 1, far_speck(k + 1)), Workload(bev_slower=slower))
        assert (tick.occupancy is not None, len(closer) - before) == (
            (True, slower == 1) if k in (0, 1, 4) else (False, 1)
        )


def test_no_closer_look_where_the_frame_has_no_more_to_show(
    engine: OnnxEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = closer_pipeline(engine, tmp_path / "bank", 0.3)
    monkeypatch.setattr(engine, "tokens", lambda images: pytest.fail("looked twice"))
    pipeline.tick(both(1, RED))


def test_a_window_without_numbers_is_said_and_the_camera_still_seen(
    engine: OnnxEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = closer_pipeline(engine, tmp_path / "bank", 0.3)
    monkeypatch.setattr("airside.pipeline.window_of", lambda views, half_width_m, reach_m: (0, WINDOW))
    monkeypatch.setattr(engine, "tokens", lambda images: np.full((len(images), *engine.manifest.grid, 8), np.nan))
    tick = pipeline.tick(bundle(1, far_speck(1)))
    assert tick.record.cameras[0].observed
    assert "path_window_not_finite" in tick.record.cameras[0].health.reasons
    assert tick.record.health.state is HealthState.DEGRADED


def test_the_same_recording_gives_the_same_records(engine: OnnxEngine, tmp_path: Path) -> None:
    def run(name: str) -> list[str]:
        store = BankStore(tmp_path / name)
        store.create(taught_bank(engine), "test", "first")
        pipeline = Pipeline(engine, store, site=SiteConfig(), rig=RIG)
        records = [pipeline.tick(both(k, RED if k % 3 else None)).record for k in range(1, 9)]
        return [json_line(replace(record, bank_snapshot="")) for record in records]

    assert run("one") == run("two")


def test_recorded_pictures_of_a_lens_are_looked_at_as_in_the_drive(engine: OnnxEngine, tmp_path: Path) -> None:
    store = BankStore(tmp_path / "bank")
    store.create(taught_bank(engine), "test", "first")
    barrel = replace(
        RIG["front"], model="plumb_bob", coefficients=(-0.25, 0.05, 0.001, -0.001), pinhole_fov_deg=130.0,
        pinhole_size_px=(240, 112),
    )  # fmt: skip
    live, replayed = (
        Pipeline(engine, store, site=SiteConfig(bev_every=1), rig={"front": barrel}, rectified=rectified)
        for rectified in (False, True)
    )
    for k in range(1, 4):
        one = live.tick(bundle(k, frame("front", k, RED)))
        two = replayed.tick(bundle(k, one.views[0].frame))
        assert two.record.cameras[0].observed
        assert two.record.cameras == one.record.cameras
        assert 0.1 < two.views[0].net.observed.mean() < 0.9
        np.testing.assert_array_equal(two.views[0].net.observed, one.views[0].net.observed)
        np.testing.assert_array_equal(two.views[0].frame.image, one.views[0].frame.image)
        assert one.occupancy is not None
        assert two.occupancy is not None
        np.testing.assert_array_equal(two.occupancy.cells, one.occupancy.cells)
        lines = [json.loads(json_line(tick.record)) for tick in (one, two)]
        assert lines[0]["alerts"] == lines[1]["alerts"]


def test_a_registered_object_is_no_alert_from_the_next_tick_on(pipeline: Pipeline, monkeypatch: Any) -> None:
    seen = [pipeline.tick(bundle(k, frame("front", 1, RED, index=k, capture_ns=k * TICK_NS))) for k in range(1, 7)]
    assert seen[-1].record.level > Level.NOTICE
    store: BankStore = pipeline._store
    taught = seen[-1].views[0]

    def with_red(bank: Any) -> Any:
        from airside.enrolment.enrol import enrol
        from airside.enrolment.support import SupportImage, mask_from_box

        rng = np.random.default_rng(9)
        shown = [apron_like_picture(rng, colour=RED) for _ in range(5)]
        support = [SupportImage("", image, mask_from_box(box, image.shape[:2], "")) for image, box in shown]
        return enrol(bank, pipeline._engine, "tug", support, boxed=True)[0]

    store.commit(with_red, "test", "tug")
    after = pipeline.tick(bundle(7, replace(taught.frame, index=7, capture_ns=7 * TICK_NS)))
    assert after.record.level <= Level.NOTICE
    assert "tug" in {alert.track.name for alert in after.record.alerts}
