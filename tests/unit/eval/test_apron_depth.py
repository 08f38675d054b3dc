"""Depth on the simulator's frames: figures follow the truth, metres the lens, and the baseline is level ground."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from airside.engine.bundle import Manifest
from airside.engine.engine import BevMaps, NetworkOutput
from airside.errors import CorruptError, InputError, UsageError
from airside.geometry.bev_view import BevView
from eval import apron, apron_depth
from eval.aims import Aim, aim_line
from eval.apron_depth import (
    BANDS_M,
    INTERPOLATION,
    MAX_DEPTH_M,
    DepthTest,
    aims,
    camera_of,
    ground_plane_m,
    main,
    metric_depth_m,
)
from eval.apron_depth_picture import ROWS, DepthPick, depth_sheet
from tests.builders import tiny_bundle
from training.apron.families import UNKNOWN
from training.apron.frames import LabelledFrame
from training.apron.renderer import View

HEIGHT, WIDTH = 56, 98
FOCAL_PX = 80.0
NAMES = ("tarmac", "cone", sorted(UNKNOWN)[0])
MANIFEST = Manifest(
    "fake", HEIGHT, WIDTH, 14, 8, "none", ("tokens", "depth"), "none", "nothing", "Apache-2.0", "", "",
    depth_focal_px=FOCAL_PX,
)  # fmt: skip
KNOWN_BOX, UNKNOWN_BOX = np.s_[30:40, 10:30], np.s_[32:52, 60:80]


class FakeEngine:
    """Says ``depths``, one after the other, whatever it is shown."""

    def __init__(self, depths: Sequence[np.ndarray | None], manifest: Manifest = MANIFEST) -> None:
        self.manifest, self._depths = manifest, iter(depths)

    def outputs(self, images: np.ndarray) -> NetworkOutput:
        assert images.shape == (1, HEIGHT, WIDTH, 3)
        depth = next(self._depths)
        tokens: np.ndarray = np.zeros((1, 4, 7, 8), np.float32)
        return NetworkOutput(tokens, None if depth is None else depth[None].astype(np.float32))

    def tokens(self, images: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def bev(self, tokens: np.ndarray, view: BevView, measured: np.ndarray | None = None) -> BevMaps:
        raise NotImplementedError


def _view(fov_deg: float = 70.0, *, pitch_deg: float = 0.0, roll_deg: float = 0.0, height_m: float = 1.5) -> View:
    pitch, roll, fov = (float(angle) for angle in np.radians((pitch_deg, roll_deg, fov_deg)))
    return View((3.0, -2.0, height_m), 0.4, pitch, roll, fov, HEIGHT, WIDTH)


def _frame(view: View | None = None, *, lens: str = "wide", condition: str = "day", world: int = 0) -> LabelledFrame:
    """Ground to the horizon, sky above, a known box at 8 m and an unknown one at 5 m."""
    view = view or _view()
    camera, pose = camera_of(view)
    depth_m = ground_plane_m(camera, pose)
    depth_m[depth_m >= MAX_DEPTH_M] = np.inf
    label, instance = np.zeros((HEIGHT, WIDTH), np.uint16), np.full((HEIGHT, WIDTH), -1, np.int16)
    for number, (box, index, metres) in enumerate(((KNOWN_BOX, 1, 8.0), (UNKNOWN_BOX, 2, 5.0))):
        label[box], instance[box], depth_m[box] = index, number, metres
    rgb = np.random.default_rng(world).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    return LabelledFrame(rgb, label, instance, depth_m.astype(np.float32), NAMES, condition, lens, world, view)


def _as_seen(frame: LabelledFrame, factor: float = 1.0) -> np.ndarray:
    """What a network must say for the truth times ``factor``: through the manifest's focal length, 45 m for sky."""
    return np.asarray(np.minimum(frame.depth_m, 45.0) * factor * FOCAL_PX / frame.view.focal_px)


def _report(frames: Sequence[LabelledFrame], depths: Sequence[np.ndarray]) -> dict[str, Any]:
    test = DepthTest(FakeEngine(depths))
    for frame in frames:
        test.add(frame)
    return test.report()


def test_a_perfect_prediction_is_perfect_through_any_lens() -> None:
    frames = [_frame(_view(90), lens="wide"), _frame(_view(35), lens="narrow", condition="night")]
    report = _report(frames, [_as_seen(f) for f in frames])
    for subset in ("everything", "objects", "unknown_objects"):
        assert report[subset]["network"]["abs_rel"] == pytest.approx(0, abs=1e-6)
        assert report[subset]["network"]["delta1"] == 1
        for row in (report["by_lens"]["narrow"], report["by_condition"]["night"], report["by_lens"]["wide"]):
            assert row[subset]["network"]["abs_rel"] == pytest.approx(0, abs=1e-6)
    assert all(aim["reached"] for aim in report["aims"])
    assert report["objects"]["network"]["pixels"] == 2 * (200 + 400)
    assert report["unknown_objects"]["network"]["pixels"] == 2 * 400
    assert report["everything"]["network"]["pixels"] == sum(int(np.isfinite(f.depth_m).sum()) for f in frames)


def test_an_error_is_where_it_is_and_a_lens_that_is_forgotten_shows() -> None:
    frame = _frame()
    off = _as_seen(frame)
    off[UNKNOWN_BOX] *= 1.5
    report = _report([frame], [off])
    assert report["unknown_objects"]["network"]["abs_rel"] == pytest.approx(0.5)
    assert report["objects"]["network"]["abs_rel"] == pytest.approx(0.5 * 400 / 600)
    assert report["by_range"]["0-10 m"]["unknown_objects"]["network"]["abs_rel"] == pytest.approx(0.5)
    assert report["by_range"]["10-20 m"]["unknown_objects"]["network"] is None
    assert [aim["reached"] for aim in report["aims"]] == [True, False, True]
    forgotten = _report([frame], [np.minimum(frame.depth_m, 45.0)])["everything"]["network"]
    assert forgotten["abs_rel"] == pytest.approx(1 - frame.view.focal_px / FOCAL_PX, abs=1e-5)


def test_range_bands_share_out_everything() -> None:
    frame = _frame()
    report = _report([frame], [_as_seen(frame)])
    pixels = [
        row["everything"]["network"]["pixels"] for row in report["by_range"].values() if row["everything"]["network"]
    ]
    assert sum(pixels) == report["everything"]["network"]["pixels"]
    assert (BANDS_M[0][0], BANDS_M[-1][1]) == (0, MAX_DEPTH_M)


def test_the_baseline_in_closed_form() -> None:
    frame = _frame(_view(70, height_m=1.5))
    report = _report([frame], [_as_seen(frame)])
    row = np.arange(HEIGHT) - (HEIGHT - 1) / 2
    plane = np.full(HEIGHT, MAX_DEPTH_M)
    plane[row > 0] = np.minimum(1.5 * frame.view.focal_px / row[row > 0], MAX_DEPTH_M)
    known = np.abs(plane[30:40] - 8.0) / 8.0
    unknown = np.abs(plane[32:52] - 5.0) / 5.0
    wanted = (20 * known.sum() + 20 * unknown.sum()) / 600
    assert report["objects"]["ground_plane"]["abs_rel"] == pytest.approx(wanted)
    nothing_but_ground = replace(frame, instance=np.full_like(frame.instance, -1))
    nothing_but_ground.depth_m[KNOWN_BOX] = nothing_but_ground.depth_m[UNKNOWN_BOX] = np.inf
    exact = _report([nothing_but_ground], [_as_seen(nothing_but_ground)])
    assert exact["everything"]["ground_plane"]["abs_rel"] == pytest.approx(0, abs=1e-6)
    assert exact["objects"]["ground_plane"] is None
    assert exact["aims"][2]["got"] is None
    wall = replace(frame, depth_m=np.where(row[:, None] < 0, np.float32(30), np.float32(np.inf)).repeat(WIDTH, axis=1))
    above = _report([wall], [_as_seen(wall)])
    assert above["everything"]["ground_plane"]["abs_rel"] == pytest.approx(0.5)  # 45 m where it has no value


@pytest.mark.parametrize(("pitch_deg", "roll_deg"), [(0, 0), (7, 0), (-4, 3), (2, -8)])
def test_the_baseline_knows_the_true_pose(pitch_deg: float, roll_deg: float) -> None:
    view = _view(80, pitch_deg=pitch_deg, roll_deg=roll_deg, height_m=2.1)
    down = -view.rays_world()[..., 2]
    with np.errstate(divide="ignore"):
        wanted = np.where(down > 0, np.minimum(2.1 / down, MAX_DEPTH_M), MAX_DEPTH_M)
    np.testing.assert_allclose(ground_plane_m(*camera_of(view)), wanted)


def test_a_small_map_is_brought_to_the_picture_s_size() -> None:
    camera, _ = camera_of(_view())
    step = np.full((8, 14), 4.0, np.float32)
    step[:, 7:] = 20.0
    scale = camera.fx / FOCAL_PX
    soft, hard = (metric_depth_m(step, MANIFEST, camera, way) for way in ("bilinear", "nearest"))
    assert soft.shape == hard.shape == (HEIGHT, WIDTH)
    assert set(np.unique(hard)) == {np.float32(4 * scale), np.float32(20 * scale)}
    assert hard[0, 48] == np.float32(4 * scale)
    assert hard[0, 49] == np.float32(20 * scale)
    assert soft[0, 48] + soft[0, 49] == pytest.approx(24 * scale)  # the edge stays where it was
    assert 4 * scale < soft[0, 48] < 12 * scale
    assert np.array_equal(metric_depth_m(step, MANIFEST, camera), soft if INTERPOLATION == "bilinear" else hard)


def test_both_interpolations_are_reported() -> None:
    frame = _frame()
    small = cv2.resize(_as_seen(frame).astype(np.float32), (14, 8), interpolation=cv2.INTER_NEAREST_EXACT)
    report = _report([frame], [small])
    soft, hard = (report["by_interpolation"][way]["objects"]["network"]["abs_rel"] for way in ("bilinear", "nearest"))
    assert soft != hard
    assert report["objects"]["network"]["abs_rel"] == {"bilinear": soft, "nearest": hard}[INTERPOLATION]


def test_nothing_is_further_than_the_limit_and_nothing_is_zero() -> None:
    camera, _ = camera_of(_view())
    far_and_near = np.array([[0.0, 500.0]], np.float32)
    metres = metric_depth_m(far_and_near, MANIFEST, camera)
    assert metres.min() == np.float32(0.1)
    assert metres.max() == MAX_DEPTH_M


def test_refusals() -> None:
    tokens_only = replace(MANIFEST, outputs=("tokens",), depth_focal_px=None)
    with pytest.raises(UsageError, match=r"fake has no depth \(its outputs: tokens\)"):
        DepthTest(FakeEngine([], tokens_only))
    with pytest.raises(UsageError, match="has no depth"):
        DepthTest(FakeEngine([None])).add(_frame())
    broken = np.full((8, 14), np.nan)
    with pytest.raises(CorruptError, match="not finite"):
        DepthTest(FakeEngine([broken])).add(_frame())


@pytest.mark.parametrize(
    ("wanted", "got", "at_least", "reached"),
    [
        (0.1, 0.1, False, True),
        (0.1, 0.11, False, False),
        (0.5, 0.5, True, True),
        (0.5, 0.4, True, False),
        (1.0, None, False, False),
    ],
)
def test_aims_are_data(wanted: float, got: float | None, at_least: bool, reached: bool) -> None:
    told = Aim("it", wanted, got, at_least).as_json()
    assert told["reached"] is reached
    assert ("NOT" in aim_line(told)) is not reached


def test_a_third_better_than_the_baseline() -> None:
    def of(network: float, plane: float) -> Aim:
        row = {"network": {"abs_rel": network}, "ground_plane": {"abs_rel": plane}}
        return aims({"everything": row, "objects": row})[2]

    assert of(0.2, 0.31).reached
    assert not of(0.2, 0.29).reached


def test_the_sheet_shows_a_frame_of_each_kind() -> None:
    pick = DepthPick(MAX_DEPTH_M)
    with pytest.raises(InputError, match="evaluate more --frames"):
        depth_sheet(pick)
    for k, lens in enumerate(("wide", "wide", "wide", "narrow", "normal", "normal", "narrow", "narrow")):
        frame = _frame(lens=lens, condition=f"weather {k}")
        pick.offer(frame, np.minimum(frame.depth_m, 45), np.minimum(frame.depth_m, 45))
    again = _frame(lens="narrow", condition="weather 0")
    pick.offer(again, again.depth_m, again.depth_m)
    assert [f.condition[-1] for f, *_ in pick.kept] == list("013456")
    assert len(pick.kept) == ROWS
    sheet = depth_sheet(pick)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] > 6 * WIDTH
    assert sheet.shape[0] > ROWS * HEIGHT
    empty = DepthPick(MAX_DEPTH_M)
    empty.offer(replace(again, instance=np.full_like(again.instance, -1)), again.depth_m, again.depth_m)
    assert empty.kept == []


def test_command_writes_and_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = [_frame(_view(90)), _frame(_view(35), lens="narrow", condition="fog")]
    monkeypatch.setattr(apron_depth, "rendered", lambda *_: iter(frames))
    monkeypatch.setattr(apron_depth, "load_engine", lambda _: FakeEngine([_as_seen(f, 1.05) for f in frames]))
    path, picture = tmp_path / "new" / "report.json", tmp_path / "sheet.png"
    assert main(["--json", str(path), "--picture", str(picture), "--model", "x"]) == 0
    report = json.loads(path.read_text())
    assert report["everything"]["network"]["abs_rel"] == pytest.approx(0.05, abs=0.01)
    assert report["protocol"]["lenses"] == {"wide": 1, "narrow": 1}
    assert cv2.imread(str(picture)) is not None
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("ground plane", "unknown objects", "narrow", "30-45 m", "reached"))


def test_command_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, report = tiny_bundle(tmp_path / "tokens only"), str(tmp_path / "r.json")
    assert main(["--json", report, "--model", str(bundle)]) == UsageError.exit_code
    assert "tiny-0 has no depth" in capsys.readouterr().err
    assert main(["--json", report, "--picture", "sheet.jpg", "--model", str(bundle)]) == UsageError.exit_code
    assert "must end in .png" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["--json", report, "--frames", "0"])
    with pytest.raises(SystemExit, match="0"):
        apron.main(["--task", "depth", "--help"])
    assert "--task depth" in capsys.readouterr().out
