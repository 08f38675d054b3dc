"""eval.drive: the plan of all drives, what is kept on disk, the truth in the ego frame, records, report and film."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from airside.cameras.fit import fit_to_network
from airside.config import RigConfig, SiteConfig
from airside.errors import CorruptError
from airside.fusion.mounted import mounted_view
from airside.fusion.viewpoint import window_of
from airside.messages import Kind, Level, Placement, RangeSource, Region, Sighting, Track
from eval.drive import stored as stored_module
from eval.drive.__main__ import main
from eval.drive.plans import LARGE_M, all_plans, largest_m, quick_plans
from eval.drive.records import load_records, save_records
from eval.drive.report import print_table, report_of
from eval.drive.running import bundle_at, runtime_digest, runtime_modules
from eval.drive.stored import Thing, path_of, photographed, read, rig_of, stored
from eval.drive.truth import truths_of
from tests.drive_data import CAMERAS, PLAN, alert_at, drive_result, stored_drive, true_object
from tests.records import tick_record
from training.apron_drives import KINDS, TICK_S, DriveTick
from training.rig_frames import VehiclePose

# --- plans


def test_the_full_plan_has_what_the_aims_need() -> None:
    plans = all_plans()
    six = [plan for plan in plans if plan.rig == "apron6"]
    by_day = [plan for plan in six if plan.kind == "approach" and plan.condition == "day"]
    assert sum(largest_m(plan.unknown) >= LARGE_M for plan in by_day) >= 20
    assert sum(largest_m(plan.unknown) < LARGE_M for plan in by_day) >= 10
    for condition in ("night", "wet"):
        assert sum(plan.kind == "approach" and plan.condition == condition for plan in six) >= 8
    assert {plan.kind for plan in plans if plan.rig == "apron8"} >= {"approach", "parked", "stand", "clean"}
    clean_s = sum(plan.duration_s for plan in plans if plan.kind == "clean")
    assert clean_s >= 3600
    assert {plan.kind for plan in plans} == set(KINDS)
    for kind in ("crossing", "parked", "stand"):
        assert {plan.condition for plan in plans if plan.kind == kind} >= {"day", "night", "wet"}


def test_no_two_drives_are_the_same_and_the_quick_ones_come_first() -> None:
    plans, quick = all_plans(), quick_plans()
    assert len({plan.name for plan in plans}) == len(plans)
    assert len({(plan.kind, plan.number) for plan in plans}) == len(plans)  # the number is the seed
    assert plans[: len(quick)] == quick
    assert len(quick) <= 6


# --- what is kept


def rendered(monkeypatch: pytest.MonkeyPatch, ticks: int = 2) -> list[int]:
    """Let the simulator be a stand-in; returns a list with an entry for each rendered tick."""
    done: list[int] = []

    class World:
        assets = (type("Asset", (), {"family": "forklift", "size_m": (3.0, 2.0, 2.4)})(),)

    class Scene:
        plan, world = PLAN, World()
        things = (type("Thing", (), {"item": type("Item", (), {"slot": 0})()})(),)

    def draw(scene: object, rig: RigConfig):
        count = len(rig.cameras)
        rng, lens = np.random.default_rng(count), rig.cameras[0]
        for tick in range(ticks):
            done.append(tick)
            blocks = rng.integers(0, 255, (count, 14, 14, 3), np.uint8)
            rgb = blocks.repeat(lens.height // 14, axis=1).repeat(lens.width // 14, axis=2)
            yield DriveTick(
                VehiclePose(float(tick), 0.0, 0.0), rgb, np.array([[5.0, 0.0, 0.0]]), np.full((count, 1), 7, np.int32),
                np.zeros((count, 1, 4), np.int16),
            )  # fmt: skip

    monkeypatch.setattr(stored_module, "drive_scene", lambda plan: Scene())
    monkeypatch.setattr(stored_module, "drive_ticks", draw)
    return done


def test_a_drive_is_rendered_once_and_comes_back_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = rendered(monkeypatch)
    first, second = stored(PLAN, tmp_path), stored(PLAN, tmp_path)
    assert done == [0, 0, 1, 1]  # the five of the network's size, and the narrow one
    assert second.plan == PLAN
    assert second.cameras == CAMERAS
    assert second.things == (Thing("forklift", True, (3.0, 2.0, 2.4)),)
    assert second.ego[:, 0].tolist() == [0.0, 1.0]
    for tick in range(2):
        for camera, one, other in zip(CAMERAS, first.pictures(tick), second.pictures(tick), strict=True):
            assert one.shape == ((504, 882, 3) if camera == "front_narrow" else (224, 392, 3))
            np.testing.assert_array_equal(one, other)
    drawn = np.random.default_rng(5).integers(0, 255, (5, 14, 14, 3), np.uint8).repeat(16, axis=1).repeat(28, axis=2)
    for camera, k in (("front_wide", 0), ("right", 2), ("rear_right", 4)):
        picture = first.pictures(0)[CAMERAS.index(camera)]
        assert np.abs(picture.astype(int) - drawn[k]).mean() < 6  # JPEG, channels not swapped


def test_the_narrow_camera_is_the_rig_s_with_more_pixels() -> None:
    (narrow,) = photographed(rig_of(PLAN))[1].cameras
    assert (narrow.width, narrow.height) == (882, 504)
    camera = rig_of(PLAN).camera("front_narrow")
    for x, y in (
        (0.0, 0.0),
        (391.0, 223.0),
        (195.5, 111.5),
    ):  # a pixel's ray is that of the middle of the pixels it became
        ray = (x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy
        u, v = narrow.cx + ray[0] * narrow.fx, narrow.cy + ray[1] * narrow.fy
        assert (u, v) == pytest.approx(((x + 0.5) * 2.25 - 0.5, (y + 0.5) * 2.25 - 0.5))


def test_a_window_is_in_what_the_narrow_camera_delivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered(monkeypatch)
    mount, frame = rig_of(PLAN).camera("front_narrow"), stored(PLAN, tmp_path).pictures(0)[0]
    view = mounted_view(mount, frame.shape, fit_to_network(frame, 224, 392, 14))
    site = SiteConfig()
    found = window_of([view], site.corridor_half_width_m, site.caution_distance_m)
    assert found == (0, (245, 140, 392, 224))


def test_what_is_true_of_a_picture_is_true_of_the_frame() -> None:
    boxes = np.zeros((1, 6, 3, 4), np.int16)
    boxes[0, :, 0] = 100, 50, 120, 60
    (thing,) = (t for t in truths_of(stored_drive(1, boxes=boxes), SiteConfig())[0] if t.unknown)
    assert thing.boxes_px[:2] == ((100.0, 50.0, 120.0, 60.0), (100.0, 50.0, 120.0, 60.0))
    assert thing.patches[:2] == (4.0, 1.0)  # as the network sees the whole picture


def test_a_renderer_that_dies_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(scene: object, rig: object):
        raise KeyboardInterrupt
        yield

    rendered(monkeypatch)
    monkeypatch.setattr(stored_module, "drive_ticks", dies)
    with pytest.raises(KeyboardInterrupt):
        stored(PLAN, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_plan_is_another_file_and_so_is_another_rig(tmp_path: Path) -> None:
    names = {path_of(plan, tmp_path).name for plan in (PLAN, replace(PLAN, number=4), replace(PLAN, rig="apron8"))}
    assert len(names) == 3


def test_a_damaged_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered(monkeypatch)
    stored(PLAN, tmp_path)
    path = path_of(PLAN, tmp_path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(CorruptError, match="delete it and run again"):
        read(path)


def test_a_bundle_has_every_camera_at_the_time_of_its_tick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered(monkeypatch)
    bundle = bundle_at(stored(PLAN, tmp_path), 1)
    assert [frame.camera for frame in bundle.frames] == list(CAMERAS)
    assert {frame.capture_ns for frame in bundle.frames} == {bundle.now_ns} == {round(2 * TICK_S * 1e9)}


def test_records_depend_on_what_the_pipeline_imports_and_not_on_drawing() -> None:
    modules = runtime_modules()
    needed = {
        "pipeline",
        "perception",
        "ood.regions",
        "tracking.tracker",
        "alerts.rules",
        "fusion.occupancy",
        "messages",
    }
    assert {f"airside.{name}" for name in needed} <= modules
    assert not any(part in name for name in modules for part in ("overlay", "commands", "video_writer"))
    assert len(runtime_digest()) == 64


# --- truth


def test_the_truth_is_in_the_vehicles_own_frame() -> None:
    box, bus = truths_of(stored_drive(), SiteConfig())[0]
    assert box.unknown
    assert box.range_m == pytest.approx(28.5)
    assert box.near_xy_m == pytest.approx((28.5, 0.0))
    assert box.on_path
    assert box.most_patches == 4.0
    assert box.patches[:2] == (4.0, 1.0)
    assert bus.near_xy_m == pytest.approx((0.0, 4.0), abs=1e-9)  # along its length, to the left
    assert not bus.on_path  # beside the vehicle, outside the corridor
    assert not bus.unknown


def test_an_object_beside_the_corridor_or_behind_is_not_on_the_path() -> None:
    drive = stored_drive()
    drive.poses[:, 0] = (14.5, 50.0, np.pi / 2)  # 4.5 m to the right, 2 m wide
    assert not truths_of(drive, SiteConfig())[0][0].on_path
    drive.poses[:, 0] = (10.0, 5.0, np.pi / 2)
    assert not truths_of(drive, SiteConfig())[0][0].on_path


# --- records and report


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    alert = alert_at(12.3456, -0.5, Level.STOP, id=9, faint=True)
    outline = np.array([(1, 2), (30, 2), (30, 40)], np.float32)
    region = Region(Kind.UNKNOWN, "cone", 0.4, 0.9, 9.0, (1.0, 2.0, 30.0, 40.0), outline, faint=True)
    place = Placement(
        12.3, 0.1, (12.2, 1.2, 0.0), RangeSource.BOTH, ((1.0, 2.0), (3.0, 2.0), (3.0, 4.0)), (0.1, 0.2, 0.3), 1.5
    )
    sightings = (
        Sighting("left", region, place, Level.STOP, ("why",), 9),
        Sighting("left", region, None, Level.NOTICE, ()),
    )
    records = [tick_record(0), tick_record(1, alerts=(alert,), sightings=sightings, timing_ms={"network": 12.5})]
    save_records(tmp_path / "a.jsonl", records)
    back = load_records(tmp_path / "a.jsonl")
    assert back[0] == records[0]
    assert back[1].timing_ms == {"network": 12.5}
    (other,) = back[1].alerts
    assert (other.level, other.reasons) == (alert.level, alert.reasons)
    for field in dataclasses.fields(Track):
        if field.name not in ("state", "covariance"):
            assert getattr(other.track, field.name) == getattr(alert.track, field.name), field.name
    np.testing.assert_allclose(other.track.state, alert.track.state, atol=1e-3)
    np.testing.assert_allclose(other.track.covariance[:2, :2], alert.track.covariance[:2, :2])
    for one, given in zip(back[1].sightings, sightings, strict=True):
        np.testing.assert_array_equal(one.region.outline_px, outline)
        assert replace(one, region=region) == given
        for field in dataclasses.fields(Region):
            if field.name != "outline_px":
                assert getattr(one.region, field.name) == getattr(region, field.name), field.name


def results() -> list:
    ranges = (45.0, 36.0, 25.0, 12.0)
    approach = drive_result(
        [(true_object(r),) for r in ranges],
        [(), *((alert_at(r, level=Level.CAUTION),) for r in ranges[1:])],
    )
    clean = drive_result([()] * 50, [(alert_at(9.0, 1.0, Level.NOTICE),)] + [()] * 49, kind="clean", name="clean-1")
    return [approach, clean]


def test_the_report_has_the_promised_keys_and_survives_json(capsys: pytest.CaptureFixture[str]) -> None:
    report = json.loads(json.dumps(report_of(results(), {"engine": "onnxruntime"}, 200.0)))
    assert {"within_200ms", "age_p99_ms"} <= report["ticks"].keys()
    assert {"median_relative", "lateral_m"} <= report["position"].keys()
    assert {"level1", "level2", "level3", "level4", "hours"} <= report["false_per_hour"].keys()
    assert report["first_alert_m"]["day >=1.5m"]["before_27_m"] == 1
    assert report["recall_by_range"]["20-27"]["recall"] == 1.0
    assert report["false_per_hour"]["hours"] == pytest.approx(50 * 0.2 / 3600)
    assert report["false_per_hour"]["episodes"]["level1"] == 1
    assert report["false_per_hour_other_drives"]["episodes"]["level1"] == 0
    reached = {aim["name"].split(",")[0]: aim["reached"] for aim in report["aims"]}
    assert reached["level 2 before 27 m"]
    print_table(report)
    shown = capsys.readouterr().out
    assert "1/1" in shown
    assert "NOT reached" not in shown


def test_nothing_measured_reaches_nothing() -> None:
    (_, clean) = results()
    report = report_of([clean], {}, 200.0)
    assert [aim["reached"] for aim in report["aims"]][:3] == [False, False, False]
    print_table(report)


def test_an_empty_cache_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rendered", "--cache", str(tmp_path)]) == 2
    assert "leave --rendered out" in capsys.readouterr().err
