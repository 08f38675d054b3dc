"""The bird's-eye benchmark: figures follow the truth, priors come from other worlds, corrupted rigs are compared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from airside.config import RigConfig, load_rig
from airside.engine.bev_spec import BevSpec
from airside.engine.bundle import Manifest
from airside.engine.engine import BevMaps, NetworkOutput
from airside.errors import InputError, MismatchError, UsageError
from airside.geometry.bev_grid import LAYERS, BevGrid
from airside.geometry.bev_view import BevView
from airside.geometry.splat_table import HEIGHT_RANGE_M, DepthBins
from eval import apron, apron_bev, bev_frames, corruption_bev
from eval.apron_bev import NETWORK, BevTest, aims, gap_closed, main
from eval.apron_bev_picture import BevPick, bev_sheet
from eval.apron_protocol import BEV_DEV_SAMPLES, BEV_SAMPLES, RIG, bev_dev_plans, bev_plans
from eval.bev_frames import BevFrame, frames_of, rig_at_size
from eval.bev_heads import network_head, network_rig, simple_bev_head
from eval.corruption_bev import BevCorruptionTest, evaluate_bev, print_bev_table
from eval.metrics.bev import radius_cells
from tests.builders import tiny_bundle
from training.apron import frames as apron_frames
from training.corruptions import LOSSES, PICTURE_CORRUPTIONS, corrupt
from training.pictures import SEED_TRAIN
from training.rig_frames import RigPlan

HEIGHT, WIDTH, CHANNELS, CAMERAS = 56, 98, 8, 6
GRID = BevGrid(60, 60, 1.0)
SPEC = BevSpec(GRID, DepthBins((2.0, 4.0, 8.0, 16.0, 32.0)), HEIGHT_RANGE_M, LAYERS)
MANIFEST = Manifest(
    "fake", HEIGHT, WIDTH, 14, CHANNELS, "none", ("tokens", "bev"), "none", "nothing", "Apache-2.0", "", "",
    bev=SPEC, bev_sha256="",
)  # fmt: skip
SMALL_RIG = rig_at_size(load_rig(RIG), HEIGHT, WIDTH)

Saying = Callable[[BevFrame], np.ndarray]


class FakeEngine:
    """Says of each of ``frames``, which it knows by the first camera's first pixel, what ``saying`` makes of it."""

    def __init__(self, frames: Iterable[BevFrame], saying: Saying, manifest: Manifest = MANIFEST) -> None:
        self.manifest, self._saying = manifest, saying
        self._frames = {_key(frame.rgb): frame for frame in frames}
        self.seen: list[np.ndarray] = []

    def outputs(self, images: np.ndarray) -> NetworkOutput:
        return NetworkOutput(self.tokens(images), None)

    def tokens(self, images: np.ndarray) -> np.ndarray:
        self.seen.append(images)
        tokens: np.ndarray = np.zeros((len(images), 4, 7, CHANNELS), np.float32)
        tokens[0, 0, 0, :2] = _key(images)
        return tokens

    def bev(self, tokens: np.ndarray, view: BevView, measured: np.ndarray | None = None) -> BevMaps:
        assert view.table.cameras == len(tokens)
        said = self._saying(self._frames[int(tokens[0, 0, 0, 0]), int(tokens[0, 0, 0, 1])])
        return BevMaps(said.astype(np.float32), np.zeros(1, np.float32))


def _key(images: np.ndarray) -> tuple[int, int]:
    return int(images[0, 0, 0, 0]), int(images[0, 0, 0, 1])


def _frame(number: int, *, world: int = 0, condition: str = "day") -> BevFrame:
    """A box of vehicles, drivable ground all around but for the left edge, a line; cells behind are not in view."""
    rng = np.random.default_rng([world, number])
    rgb = rng.integers(60, 200, (CAMERAS, HEIGHT, WIDTH, 3), np.uint8)
    rgb[0, 0, 0] = (number, world, 0)
    layers: np.ndarray = np.zeros((3, *GRID.shape), bool)
    x, y = rng.integers(25, 40, 2)
    layers[0, x : x + 8, y : y + 8] = True
    layers[1, :, :40] = True
    layers[2, :, 30 + number % 3] = True
    visible: np.ndarray = np.ones(GRID.shape, bool)
    visible[:5] = False
    depth: np.ndarray = np.full((CAMERAS, HEIGHT, WIDTH), 10.0, np.float16)
    return BevFrame(rgb, depth, layers, visible, condition, world)


def _truth(frame: BevFrame) -> np.ndarray:
    return frame.layers


def _tested(
    saying: Saying, frames: Sequence[BevFrame], dev: Sequence[BevFrame], spec: BevSpec = SPEC
) -> dict[str, Any]:
    engine = FakeEngine([*frames, *dev], saying, replace(MANIFEST, bev=spec))
    test = BevTest(engine, {NETWORK: network_head(engine, SMALL_RIG)})
    test.choose(dev)
    for frame in frames:
        test.add(frame)
    return test.report()


FRAMES = [_frame(1), _frame(2, condition="fog"), _frame(3, world=1)]
DEV = [_frame(11, world=7), _frame(12, world=7)]


def test_a_perfect_prediction_is_perfect() -> None:
    report = _tested(_truth, FRAMES, DEV)
    for radius in ("within_25_m", "within_45_m"):
        for layer in LAYERS:
            row = report[radius][layer]
            assert row[NETWORK] == row["network_dev_threshold"] == row["gap_closed"] == 1
            assert row["constant"] < 1
    assert report["by_condition"]["fog"]["vehicles"][NETWORK] == 1
    assert report["aims"][0]["reached"]


def test_layers_are_told_by_name() -> None:
    turned = replace(SPEC, layers=("markings", "glass", "vehicles"))

    def saying(frame: BevFrame) -> np.ndarray:
        return np.stack([frame.layers[2], ~frame.layers[1], frame.layers[0]])

    report = _tested(saying, FRAMES, DEV, turned)
    assert list(report["within_25_m"]) == ["vehicles", "markings"]
    assert all(row[NETWORK] == 1 for row in report["within_25_m"].values())
    assert [aim["got"] for aim in report["aims"]] == [None, None, 1]


def test_only_cells_in_view_and_in_reach_count() -> None:
    near = radius_cells(GRID, 25.0)

    def wrong_elsewhere(frame: BevFrame) -> np.ndarray:
        return np.where(frame.visible & near, frame.layers, ~frame.layers)

    report = _tested(wrong_elsewhere, FRAMES, DEV)
    assert all(row[NETWORK] == 1 for row in report["within_25_m"].values())
    assert report["within_45_m"]["drivable"][NETWORK] < 1
    cells = int((FRAMES[0].visible & near).sum())
    assert report["within_25_m"]["drivable"]["cells"] == len(FRAMES) * cells


def test_priors_in_closed_form_and_from_other_worlds() -> None:
    near = radius_cells(GRID, 25.0)
    report = _tested(lambda frame: np.zeros_like(frame.layers), FRAMES, DEV)
    row = report["within_25_m"]["drivable"]
    mask = FRAMES[0].visible & near
    share = (FRAMES[0].layers[1] & mask).sum() / mask.sum()
    assert row["constant"] == pytest.approx(share)
    assert row["mean_map"] == 1  # the drivable ground is the same at every stop
    assert row["gap_closed_mean_map"] is None
    assert row["gap_closed"] == pytest.approx(-share / (1 - share))
    assert (row[NETWORK], row["network_dev_threshold"]) == (0, 0)
    no_ground = [replace(frame, layers=frame.layers & np.array([True, False, True])[:, None, None]) for frame in DEV]
    assert _tested(_truth, FRAMES, no_ground)["within_25_m"]["drivable"]["constant"] == 0  # nowhere there, so nowhere


def test_thresholds_are_chosen_on_development_worlds() -> None:
    report = _tested(lambda frame: np.where(frame.layers, 0.3, 0.1), FRAMES, DEV)
    for row in report["within_25_m"].values():
        assert (row[NETWORK], row["network_dev_threshold"]) == (0, 1)
    assert all(0.1 < threshold <= 0.3 for threshold in report["dev_thresholds"][NETWORK].values())


@pytest.mark.parametrize(
    ("iou", "prior", "wanted"), [(0.8, 0.6, 0.5), (0.5, 0.6, -0.25), (None, 0.5, None), (1, 1, None)]
)
def test_gap_closed(iou: float | None, prior: float | None, wanted: float | None) -> None:
    assert gap_closed(iou, prior) == (None if wanted is None else pytest.approx(wanted))
    reached = wanted is not None and wanted >= 0.5
    assert aims({"drivable": {"gap_closed": wanted, "gap_closed_mean_map": None}})[0].reached is reached


def test_seeds_and_plans_are_its_own() -> None:
    test, dev = bev_plans(), bev_dev_plans()
    others = {value for name, value in vars(apron_frames).items() if name.startswith("SEED_")} | {SEED_TRAIN}
    others |= {8_000_000, 8_000_001, 9_000_000}
    assert {plan.seed for plan in test}.isdisjoint({plan.seed for plan in dev} | others)
    assert {plan.seed for plan in dev}.isdisjoint(others)
    assert (sum(p.poses for p in test), len(test)) == (BEV_SAMPLES, 25)
    assert sum(p.poses for p in dev) == BEV_DEV_SAMPLES
    assert [p.poses for p in bev_plans(6)] == [4, 2]
    assert len({p.world for p in test}) == 25
    assert all(p.condition is None and p.unknown_count[1] > 0 for p in test)


def test_frames_are_kept_and_found_by_all_that_made_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def render(plan: RigPlan, rig: RigConfig, grid: BevGrid) -> list[BevFrame]:
        made.append(plan)
        return [_frame(k, world=plan.world, condition="snow") for k in range(plan.poses)]

    monkeypatch.setattr(bev_frames, "_rendered", render)
    plan, other = bev_plans(6)
    first = frames_of(plan, SMALL_RIG, GRID, tmp_path)
    again = frames_of(plan, SMALL_RIG, GRID, tmp_path)
    assert len(made) == 1
    for one, two in zip(first, again, strict=True):
        assert (two.condition, two.world) == ("snow", plan.world)
        for name in ("rgb", "depth_m", "layers", "visible"):
            assert np.array_equal(getattr(one, name), getattr(two, name))
            assert getattr(one, name).dtype == getattr(two, name).dtype
    frames_of(other, SMALL_RIG, GRID, tmp_path)
    frames_of(plan, RigConfig(SMALL_RIG.cameras[:2]), GRID, tmp_path)
    frames_of(plan, SMALL_RIG, BevGrid(60, 60, 0.5), tmp_path)
    assert len(made) == 4
    monkeypatch.setattr(bev_frames, "_source_digest", lambda: "another simulator")
    frames_of(plan, SMALL_RIG, GRID, tmp_path)
    assert len(made) == 5


def test_a_rig_at_the_network_s_size() -> None:
    camera = SMALL_RIG.camera("front_wide")
    assert (camera.width, camera.height, camera.fx, camera.cx) == (WIDTH, HEIGHT, 49.0, 48.5)
    assert camera.ego_from_cam == load_rig(RIG).camera("front_wide").ego_from_cam


def _simple_bev(path: Path, **changes: Any) -> Any:
    import torch
    from safetensors.torch import save_file

    from airside.model.bev import SimpleBev

    torch.manual_seed(0)
    head = SimpleBev(CHANNELS, network_rig(SMALL_RIG, MANIFEST), **{"grid": GRID, "channels": 8, **changes}).eval()
    save_file(head.state_dict(), path)
    return head


def test_simple_bev_on_the_same_tokens(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    head = _simple_bev(tmp_path / "head.safetensors", heights_m=(0.0, 1.0))
    tokens = np.random.default_rng(0).normal(size=(CAMERAS, 4, 7, CHANNELS)).astype(np.float32)
    seen = NetworkOutput(tokens, None)
    found = simple_bev_head(tmp_path / "head.safetensors", SMALL_RIG, MANIFEST)(seen)
    kept = {f"simple_bev.{name}": value for name, value in head.state_dict().items()} | {
        "families.weight": torch.ones(2)
    }
    save_file(kept, tmp_path / "kept.safetensors")
    np.testing.assert_array_equal(simple_bev_head(tmp_path / "kept.safetensors", SMALL_RIG, MANIFEST)(seen), found)
    with torch.inference_mode():
        wanted = head(torch.from_numpy(tokens)[None]).layers[0].sigmoid().numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert found.std() > 0


def test_other_heads_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "head.safetensors"
    with pytest.raises(UsageError, match="cannot be read"):
        simple_bev_head(path, SMALL_RIG, MANIFEST)
    path.write_bytes(b"no head")
    with pytest.raises(UsageError, match="cannot be read"):
        simple_bev_head(path, SMALL_RIG, MANIFEST)
    save_file({"something": np.zeros(3, np.float32)}, path)
    with pytest.raises(MismatchError, match="no Simple-BEV head"):
        simple_bev_head(path, SMALL_RIG, MANIFEST)
    _simple_bev(path)
    with pytest.raises(MismatchError, match="takes tokens 8 wide, the model fake gives 16"):
        simple_bev_head(path, SMALL_RIG, replace(MANIFEST, token_width=16))
    _simple_bev(path, layers=("vehicles",))
    with pytest.raises(MismatchError, match="not the head of this bundle's layers"):
        simple_bev_head(path, SMALL_RIG, MANIFEST)


def test_models_without_a_bird_s_eye_view(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tiny_bundle(tmp_path / "tokens only")
    assert main(["--model", str(bundle)]) == UsageError.exit_code
    assert "tiny-0 has no bird's-eye view" in capsys.readouterr().err
    assert main(["--model", str(bundle), "--picture", "sheet.jpg"]) == UsageError.exit_code
    for arguments in (["--frames", "0"], ["--dev-frames", "0"]):
        with pytest.raises(SystemExit, match="2"):
            main(arguments)
    strange = FakeEngine([], _truth, replace(MANIFEST, bev=replace(SPEC, layers=("walls",))))
    with pytest.raises(UsageError, match=r"the truth of vehicles, drivable, markings, the model fake has walls"):
        BevTest(strange, {})
    with pytest.raises(SystemExit, match="0"):
        apron.main(["--task", "bev", "--help"])
    assert "--task bev" in capsys.readouterr().out


def test_command_writes_and_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def render(plans: Sequence[RigPlan], rig: RigConfig, grid: BevGrid, what: str, *_: object) -> list[BevFrame]:
        asked.append((sum(plan.poses for plan in plans), grid, rig))
        return FRAMES if len(asked) == 2 else DEV

    monkeypatch.setattr(apron_bev, "bev_frames", render)
    monkeypatch.setattr(apron_bev, "load_engine", lambda _: FakeEngine([*FRAMES, *DEV], _truth))
    head, path, picture = tmp_path / "head.safetensors", tmp_path / "new" / "report.json", tmp_path / "sheet.png"
    _simple_bev(head)
    files = ["--json", str(path), "--picture", str(picture), "--simple-bev", str(head)]
    assert main(["--frames", "3", "--dev-frames", "2", *files]) == 0
    assert asked == [(2, GRID, SMALL_RIG), (3, GRID, SMALL_RIG)]
    report = json.loads(path.read_text())
    assert set(report["within_25_m"]["vehicles"]) >= {NETWORK, "simple_bev", "constant", "mean_map", "gap_closed"}
    assert report["within_25_m"]["vehicles"]["simple_bev"] != 1
    assert (report["protocol"]["frames"], report["protocol"]["dev_frames"]) == (3, 2)
    assert cv2.imread(str(picture)) is not None
    printed = capsys.readouterr().out
    assert all(word in printed for word in (*LAYERS, "simple_bev", "mean_map", "within 45 m", "reached"))


def test_the_sheet_shows_one_stop_a_condition() -> None:
    pick = BevPick(LAYERS, GRID)
    with pytest.raises(InputError, match="evaluate more --frames"):
        bev_sheet(pick, SMALL_RIG)
    for frame in (*FRAMES, _frame(9, condition="snow")):
        pick.offer(frame, frame.layers.astype(np.float32))
    empty = _frame(10, condition="rain")
    pick.offer(replace(empty, layers=np.zeros_like(empty.layers)), empty.layers.astype(np.float32))
    assert [frame.condition for frame, _ in pick.kept] == ["day", "fog", "snow"]
    sheet = bev_sheet(pick, SMALL_RIG)
    assert sheet.dtype == np.uint8
    assert sheet.shape[0] > 3 * 480


def _black(images: np.ndarray) -> np.ndarray:
    return np.array([not image.any() for image in images])


def test_black_cameras_reach_the_engine_black() -> None:
    frames = [_frame(k, world=world) for world in (0, 1) for k in range(3)]
    for name, strength, lost in (("camera_crash", 1, 2), ("camera_crash", 3, 5), ("frame_lost", 2, None)):
        engine = FakeEngine(frames, _truth)
        test = BevCorruptionTest(engine, SMALL_RIG, frames)
        pictures = test._corrupted(name, strength)
        black = np.stack([_black(pictures(k)) for k in range(6)])
        if lost is not None:
            assert (black.sum(axis=1) == lost).all()
            assert (black[:3] == black[0]).all()  # the whole stretch
            assert (black[3:] == black[3]).all()
        else:
            assert 0 < black.sum() < black.size
            assert len({tuple(row) for row in black.tolist()}) > 2
        for k, frame in enumerate(frames):
            assert np.array_equal(pictures(k)[~black[k]], frame.rgb[~black[k]])


class SeesColour(FakeEngine):
    """Finds the vehicles only while the first camera sees, and ground only where any camera does."""

    def tokens(self, images: np.ndarray) -> np.ndarray:
        self.blind = _black(images)
        self.seen.append(images)
        return np.zeros((len(images), 4, 7, CHANNELS), np.float32)

    def bev(self, tokens: np.ndarray, view: BevView, measured: np.ndarray | None = None) -> BevMaps:
        layers = FRAMES[0].layers.astype(np.float32)
        if self.blind[0]:
            layers[0] = 0
        return BevMaps(layers, np.zeros(1, np.float32))


def test_what_is_lost_shows_relative_to_clean(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    depths = []

    def record(image: np.ndarray, name: str, strength: int, rng: np.random.Generator, depth: np.ndarray) -> np.ndarray:
        depths.append(depth.shape)
        return corrupt(image, name, strength, rng, depth)

    def all_but_the_last(name: str, frames: int, cameras: int, strength: int, rng: np.random.Generator) -> np.ndarray:
        lost: np.ndarray = np.ones((frames, cameras), bool)
        lost[:, -1] = False
        return lost

    monkeypatch.setattr(corruption_bev, "corrupt", record)
    monkeypatch.setattr(corruption_bev, "lost_frames", all_but_the_last)
    engine = SeesColour([FRAMES[0]], _truth)
    report = BevCorruptionTest(engine, SMALL_RIG, [FRAMES[0]]).run()
    assert report["clean"] == {"vehicles": 1, "drivable": 1}
    assert set(report["corruptions"]) == {*PICTURE_CORRUPTIONS, *LOSSES}
    assert report["corruptions"]["fog"]["3"]["vehicles"] == {"iou": 1, "relative": 1}
    assert report["corruptions"]["frame_lost"]["2"]["vehicles"] == {"iou": 0, "relative": 0}
    assert report["corruptions"]["camera_crash"]["1"]["drivable"]["relative"] == 1
    assert report["worst_middle_relative"] == {"vehicles": 0, "drivable": 1}
    assert len(engine.seen) == 1 + 8 * 3
    assert depths == [(HEIGHT, WIDTH)] * (6 * 3 * CAMERAS)
    assert np.array_equal(engine.seen[0], FRAMES[0].rgb)
    assert not any(np.array_equal(images, FRAMES[0].rgb) for images in engine.seen[1:])
    print_bev_table(report)
    assert "camera_crash" in capsys.readouterr().out


def test_the_bird_s_eye_part_is_skipped_aloud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokens_only = FakeEngine([], _truth, replace(MANIFEST, outputs=("tokens",), bev=None, bev_sha256=None))
    report = evaluate_bev(tokens_only, RIG, 4, 1, None)
    assert report == {"skipped": "the model fake has no bird's-eye view"}
    assert "skipped" in evaluate_bev(FakeEngine([], _truth), RIG, 0, 1, None)
    print_bev_table(report)
    assert "skipped, the model fake has no" in capsys.readouterr().out
