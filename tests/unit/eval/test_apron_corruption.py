"""The corruption table follows what the engine loses, counts blind pictures, and a black one must be declared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airside.bank.bank import PrototypeBank
from airside.engine.bundle import Manifest
from airside.errors import InputError
from airside.health import OK
from eval import apron, apron_corruption
from eval.apron_corruption import CorruptionTest, main
from tests.builders import tiny_bank
from training.apron.families import UNKNOWN
from training.apron.frames import LabelledFrame
from training.apron.renderer import View
from training.corruptions import LOSSES, PICTURE_CORRUPTIONS, corrupt

HEIGHT, WIDTH, PATCH, CHANNELS = 112, 196, 14, 8
NAMES = ("tarmac", "cone", *sorted(UNKNOWN)[:1])
OBJECT = np.s_[28:98, 56:126]  # 25 patches, on their borders
GREY, RED = (120, 122, 121), (220, 60, 40)


class FakeEngine:
    """Tokens by colour: a patch that is red enough looks like nothing in the bank, any other like its first class."""

    def __init__(self, bank: PrototypeBank, red_enough: float) -> None:
        self.manifest = Manifest(
            "fake", HEIGHT, WIDTH, PATCH, CHANNELS, "colour", ("tokens",), "none", "nothing", "Apache-2.0", "", ""
        )
        self._known = bank.classes[0].prototypes[0]
        self._red_enough = red_enough

    def tokens(self, images: np.ndarray) -> np.ndarray:
        count, height, width = images.shape[:3]
        cells = images.reshape(count, height // PATCH, PATCH, width // PATCH, PATCH, 3).mean(axis=(2, 4))
        red = cells[..., 0] - cells[..., 2] >= self._red_enough
        return np.where(red[..., None], -self._known, self._known).astype(np.float32)


def _frame(world: int = 0, *, light: float = 1.0, unknown: bool = True) -> LabelledFrame:
    """Grey tarmac with a red object, or without, as light as ``light``."""
    label, instance = np.zeros((HEIGHT, WIDTH), np.uint16), np.full((HEIGHT, WIDTH), -1, np.int16)
    rgb = np.full((HEIGHT, WIDTH, 3), GREY, np.float64)
    rgb += np.random.default_rng(world).normal(0, 8, rgb.shape)
    if unknown:
        label[OBJECT], instance[OBJECT], rgb[OBJECT] = 2, 0, RED
    depth: np.ndarray = np.full((HEIGHT, WIDTH), 10.0, np.float32)
    image = np.clip(rgb * light, 0, 255).astype(np.uint8)
    return LabelledFrame(
        image,
        label,
        instance,
        depth,
        NAMES,
        "day",
        "wide",
        world,
        View((0.0, 0.0, 1.5), 0.0, 0.0, 0.0, 1.0, HEIGHT, WIDTH),
    )


@pytest.fixture(scope="module")
def bank() -> PrototypeBank:
    return tiny_bank(np.random.default_rng(0), 1, CHANNELS, prototypes=1)


def _report(bank: PrototypeBank, frames: list[LabelledFrame], red_enough: float = 60) -> dict[str, Any]:
    return CorruptionTest(FakeEngine(bank, red_enough), bank, "knn", frames).run()


def test_the_table_follows_what_the_engine_loses(bank: PrototypeBank) -> None:
    report = _report(bank, [_frame(0), _frame(1, unknown=False)])
    assert report["clean"]["ap"] > 0.99
    assert report["clean"]["object_recall"] == 1
    assert set(report["corruptions"]) == set(PICTURE_CORRUPTIONS)
    assert {name: set(cells) for name, cells in report["losses"].items()} == {key: {"1", "2", "3"} for key in LOSSES}
    for cells in report["corruptions"].values():
        assert set(cells) == {"1", "2", "3"}
        for cell in cells.values():
            assert cell["relative_ap"] == pytest.approx(cell["ap"] / report["clean"]["ap"])
            assert cell["relative_ap_observed"] == pytest.approx(cell["relative_ap"])
            assert cell["blind_share"] == 0
    kept, lost = report["corruptions"]["colour_quant"]["2"], report["corruptions"]["low_light"]["3"]
    assert (kept["object_recall"], lost["object_recall"]) == (1, 0)
    assert kept["relative_ap"] > 0.95
    assert lost["ap"] == pytest.approx(70 * 70 / (2 * HEIGHT * WIDTH))  # a flat score: the share of unknown pixels
    assert report["worst_middle_relative_ap"] == min(c["2"]["relative_ap"] for c in report["corruptions"].values())


def test_an_engine_that_loses_nothing_keeps_everything(bank: PrototypeBank) -> None:
    report = _report(bank, [_frame(0)], red_enough=12)
    for name in ("colour_quant", "motion_blur", "brightness", "fog"):
        assert report["corruptions"][name]["2"]["relative_ap"] > 0.9


def test_runs_alike_twice(bank: PrototypeBank, one_frame: dict[str, Any]) -> None:
    assert _report(bank, [_frame(0)]) == one_frame


def test_blind_pictures_are_counted_and_told_apart(bank: PrototypeBank) -> None:
    report = _report(bank, [_frame(0), _frame(1, light=0.3, unknown=False), _frame(2, light=0.3)])
    assert report["clean"]["blind_share"] == 0
    assert report["clean"]["ap"] < 0.8  # the object of the third is too dark to be seen, clean too
    cell = report["corruptions"]["low_light"]["1"]
    assert cell["blind_share"] == pytest.approx(2 / 3)  # of the dark ones nothing is left
    assert cell["ap"] < 0.8  # every frame counts
    assert 0.95 < cell["relative_ap_observed"] < 1.05  # the one that is left is as good as its clean self
    none_left = _report(bank, [_frame(0, light=0.3)])["corruptions"]["low_light"]["3"]
    assert (none_left["blind_share"], none_left["relative_ap_observed"]) == (1, None)


@pytest.mark.parametrize(("strength", "share"), [(1, 2 / 6), (2, 4 / 6), (3, 5 / 6)])
def test_black_pictures_are_declared(bank: PrototypeBank, strength: int, share: float) -> None:
    frames = [_frame(world) for world in range(6) for _ in range(4)]
    test = CorruptionTest(FakeEngine(bank, 60), bank, "knn", frames)
    for name in LOSSES:
        found = test._lost(name, strength, np.zeros(len(frames), bool))
        assert found.lost_share == pytest.approx(share, abs=0 if name == "camera_crash" else 0.25)
        assert (found.declared_share, found.wrongly_declared_share) == (1, 0)
        assert found.unobserved_share == found.lost_share


def test_a_crash_takes_whole_worlds_and_a_lost_frame_does_not(
    bank: PrototypeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def record(name: str, frames: int, cameras: int, strength: int, rng: np.random.Generator) -> np.ndarray:
        asked.append((name, frames, cameras, strength))
        mask: np.ndarray = np.zeros((frames, cameras), bool)
        mask[2, 0] = mask[0, 1] = True
        return mask

    monkeypatch.setattr(apron_corruption, "lost_frames", record)
    frames = [_frame(7), _frame(7), _frame(3), _frame(7)]
    test = CorruptionTest(FakeEngine(bank, 60), bank, "knn", frames)
    found = test._lost("camera_crash", 2, np.array([True, False, False, False]))
    assert asked == [("camera_crash", 3, 2, 2)]
    assert found.lost_share == 0.5  # the third of world 7, the first of world 3
    assert found.wrongly_declared_share == 0.5
    assert found.unobserved_share == 0.75


def test_a_health_that_sees_nothing_is_found_out(bank: PrototypeBank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apron_corruption, "picture_health", lambda image: OK)
    test = CorruptionTest(FakeEngine(bank, 60), bank, "knn", [_frame(0)])
    crash = test._lost("camera_crash", 1, np.zeros(1, bool))
    assert (crash.lost_share, crash.declared_share, crash.unobserved_share) == (1, 0, 0)
    assert crash.wrongly_declared_share is None


def test_every_frame_goes_through_every_corruption_with_its_depth(
    bank: PrototypeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def record(
        image: np.ndarray, name: str, strength: int, rng: np.random.Generator, depth_m: np.ndarray
    ) -> np.ndarray:
        seen.append((name, strength, float(image.mean()), float(rng.random()), depth_m))
        return corrupt(image, name, strength, rng, depth_m)

    monkeypatch.setattr(apron_corruption, "corrupt", record)
    frames = [_frame(0), _frame(1)]
    _report(bank, frames)
    assert len(seen) == 2 * 6 * 3
    draws = {(name, light): set() for name, _, light, *_ in seen}
    for name, _, light, draw, depth in seen:
        draws[name, light].add(draw)
        assert any(depth is frame.depth_m for frame in frames)
    assert all(len(d) == 1 for d in draws.values())  # the same at every strength
    assert len({next(iter(d)) for d in draws.values()}) == 12  # another for each frame and corruption


@pytest.mark.parametrize("frames", [[], [_frame(0, unknown=False)]])
def test_nothing_to_compare(bank: PrototypeBank, frames: list[LabelledFrame]) -> None:
    with pytest.raises(InputError, match=f"{len(frames)} frames need pixels of unknown objects"):
        CorruptionTest(FakeEngine(bank, 60), bank, "knn", frames)


@pytest.fixture(scope="module")
def one_frame(bank: PrototypeBank) -> dict[str, Any]:
    return _report(bank, [_frame(0)])


@pytest.fixture
def reported(one_frame: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    report = {**one_frame, "bev": {"skipped": "it has none"}, "protocol": {"frames": 1, "method": "knn"}}
    monkeypatch.setattr(apron_corruption, "evaluate", lambda *_, **__: report)
    return report


def test_command_prints_and_writes(
    reported: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "report.json"
    assert main(["--json", str(path), "--frames", "1"]) == 0
    assert json.loads(path.read_text()) == reported
    printed = capsys.readouterr().out
    assert all(name in printed for name in (*PICTURE_CORRUPTIONS, *LOSSES))
    assert f"{reported['corruptions']['fog']['2']['ap']:.3f}" in printed
    assert "bird's-eye view: skipped, it has none" in printed


def test_command_refusals(reported: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--json", str(tmp_path / "file" / "report.json")]) == 6
    assert "cannot write" in capsys.readouterr().err
    for arguments in (["--frames", "0"], ["--bev-frames", "-1"], ["--method", "guess"]):
        with pytest.raises(SystemExit, match="2"):
            main(["--json", str(tmp_path / "report.json"), *arguments])


def test_a_model_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", str(tmp_path / "r.json"), "--model", str(tmp_path / "none")]) == InputError.exit_code
    assert "is not a model bundle" in capsys.readouterr().err


def test_the_benchmark_hands_the_task_over(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        apron.main(["--task", "corruption", "--help"])
    assert leaving.value.code == 0
    assert "eval.apron_corruption" in capsys.readouterr().out
    with pytest.raises(SystemExit) as leaving:
        apron.main(["--task", "weather", "--json", "x"])
    assert leaving.value.code == 2
