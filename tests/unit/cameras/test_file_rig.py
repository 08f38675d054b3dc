"""Folders, videos and pictures played as a rig: which frames every tick holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airside.cameras.recording import Arrival, bundles_of
from airside.cameras.rig_sources import open_rig_source
from airside.errors import InputError, UsageError
from airside.messages import Frame, FrameBundle
from tests.picture_files import encoded, flat, save_folder, save_video

DATA = Path(__file__).parents[3].parent / "shared" / "data"
NUSCENES = ("CAM_FRONT", "CAM_FRONT_LEFT", "CAM_FRONT_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT")
MS = 1_000_000
MINUTE = 60_000_000_000


def levels(bundle: FrameBundle) -> dict[str, int]:
    """The grey of every camera's picture; a video's is only about right."""
    return {frame.camera: int(frame.image[10, 10, 0]) for frame in bundle.frames}


def arrival(camera: str, at_ns: int, index: int = 0) -> Arrival:
    return Arrival(at_ns, camera, lambda: Frame(camera, flat(0), at_ns, index))


def indexes(bundles: list[FrameBundle]) -> list[tuple[int, dict[str, int]]]:
    return [(bundle.now_ns // MS, {frame.camera: frame.index for frame in bundle.frames}) for bundle in bundles]


def test_every_tick_has_the_newest_frame_of_each_camera() -> None:
    came = [arrival("a", 1000 * MS, 0), arrival("a", 1150 * MS, 1), arrival("b", 1150 * MS, 0),
            arrival("a", 1200 * MS, 2), arrival("a", 1650 * MS, 3)]  # fmt: skip
    assert indexes(list(bundles_of(came, ("b", "a"), 200))) == [
        (1000, {"a": 0}),
        (1200, {"b": 0, "a": 2}),
        (1400, {"b": 0, "a": 2}),  # the same again
        (1600, {"b": 0, "a": 2}),
        (1800, {"b": 0, "a": 3}),  # the last frame is seen too
    ]
    assert [frame.camera for frame in list(bundles_of(came, ("b", "a"), 200))[1].frames] == ["b", "a"]
    assert list(bundles_of([], ("a",), 200)) == []


def test_only_what_a_tick_looks_at_is_decoded_and_a_loss_leaves_the_frame_before() -> None:
    decoded: list[int] = []

    def made(index: int, good: bool = True) -> Arrival:
        def frame() -> Frame | None:
            decoded.append(index)
            return Frame("a", flat(0), index * 50 * MS, index) if good else None

        return Arrival(index * 50 * MS, "a", frame)

    came = [made(index, good=index != 8) for index in range(11)]
    assert indexes(list(bundles_of(came, ("a",), 200))) == [(0, {"a": 0}), (200, {"a": 4}), (400, {"a": 4}),
                                                            (600, {"a": 10})]  # fmt: skip
    assert decoded == [0, 4, 8, 10]


def test_a_clock_that_jumps() -> None:
    said: list[tuple[str, str]] = []
    came = [arrival("a", 0, 0), arrival("a", 3 * MINUTE + 10, 1), arrival("a", 3 * MINUTE, 2), arrival("b", MINUTE, 0),
            arrival("a", 3 * MINUTE + 200 * MS, 3)]  # fmt: skip
    bundles = list(bundles_of(came, ("a", "b"), 200, lambda *it: said.append(it)))
    assert indexes(bundles) == [(0, {"a": 0}), (180_200, {"a": 3})]
    assert [camera for camera, _ in said] == ["a", "b"]
    assert "nothing was recorded for 180.0 s" in said[0][1]
    assert "went back by" in said[1][1]
    assert len(list(bundles_of(came[:2], ("a",), 1000))) == 182  # a clock that cannot jump ticks through the gap


@pytest.mark.parametrize("tick_ms", [0, -5])
def test_a_tick_must_last(tick_ms: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 1 ms"):
        next(open_rig_source(str(save_folder(tmp_path / "a", [1])), ["a"]).bundles(tick_ms))


def test_every_still_at_5_fps_is_used_once(tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "stills", list(range(30)))
    with open_rig_source(str(folder), ["front"]) as rig:
        assert rig.expected_ticks(200) == 30
        for _ in range(2):  # plays again
            bundles = list(rig.bundles(200))
            assert [levels(bundle) for bundle in bundles] == [{"front": level} for level in range(30)]
            assert [bundle.now_ns for bundle in bundles] == [tick * 200 * MS for tick in range(30)]
    assert rig.faults == {"front": {}}
    assert rig.last_faults == {}


def test_a_folder_with_something_for_each_camera(tmp_path: Path) -> None:
    save_folder(tmp_path / "left", [1, 2, 3])
    save_folder(tmp_path / "other", [9])
    save_video(tmp_path / "front.avi", [10 * i for i in range(20)], fps=10)
    (tmp_path / "right.png").write_bytes(encoded(77))
    (tmp_path / "left.png").write_bytes(encoded(88))  # the folder has more
    (tmp_path / "notes.txt").write_text("no camera")
    with open_rig_source(str(tmp_path), ["front", "left", "right", "rear"]) as rig:
        assert rig.cameras == ("front", "left", "right", "rear")
        assert rig.expected_ticks(200) == 11
        bundles = list(rig.bundles(200))
    assert [bundle.now_ns // MS for bundle in bundles] == [200 * tick for tick in range(11)]
    assert [levels(bundle)["left"] for bundle in bundles[:4]] == [1, 2, 3, 3]
    assert {levels(bundle)["right"] for bundle in bundles} == {77}
    assert [frame.index for bundle in bundles for frame in bundle.frames if frame.camera == "front"] == [
        *range(0, 20, 2), 19
    ]  # fmt: skip
    assert abs(levels(bundles[5])["front"] - 100) < 12
    assert rig.faults == {"front": {}, "left": {}, "right": {}, "rear": {"missing": 1}}
    assert rig.last_faults == {"rear": "camera rear: nothing of it was recorded"}


def test_the_same_twice(tmp_path: Path) -> None:
    save_folder(tmp_path / "b", [1, 2, 3, 4])
    save_video(tmp_path / "a.avi", [10, 30, 50, 70], fps=7)
    once, twice = (
        [(bundle.now_ns, [(f.camera, f.index, f.capture_ns, f.image.tobytes()) for f in bundle.frames])
         for bundle in open_rig_source(str(tmp_path), ["a", "b"]).bundles(150)]
        for _ in range(2)
    )  # fmt: skip
    assert once == twice
    assert len(once) == 5


def test_one_bad_camera_leaves_the_others(tmp_path: Path) -> None:
    save_folder(tmp_path / "good", [1, 2, 3])
    (save_folder(tmp_path / "bad", [1, 2]) / "0.png").write_bytes(b"")
    (tmp_path / "bad" / "1.png").write_bytes(b"no")
    rig = open_rig_source(str(tmp_path), ["bad", "good"])
    assert [levels(bundle) for bundle in rig.bundles(200)] == [{"good": 1}, {"good": 2}, {"good": 3}]
    assert rig.faults["bad"] == {"unreadable": 2}
    assert "1.png" in rig.last_faults["bad"]
    for path in (tmp_path / "good").iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match="none of 2 pictures"):
        list(open_rig_source(str(tmp_path), ["bad", "good"]).bundles(200))


def test_refusals(tmp_path: Path) -> None:
    save_folder(tmp_path / "stills", [1, 2])
    with pytest.raises(InputError, match=r"the rig has 2 cameras; .* named after it: a, b"):
        open_rig_source(str(tmp_path / "stills"), ["a", "b"])
    with pytest.raises(InputError, match="the rig has 2 cameras"):
        open_rig_source(str(tmp_path / "stills" / "0.png"), ["a", "b"])
    with pytest.raises(InputError, match="no such file"):
        open_rig_source(str(tmp_path / "nowhere"), ["a"])
    with pytest.raises(UsageError, match="source is empty"):
        open_rig_source("", ["a"])
    (tmp_path / "a.avi").write_bytes(b"no video")
    with pytest.raises(InputError, match="truncated, damaged"):
        open_rig_source(str(tmp_path), ["a", "b"])


def test_pictures_of_one_camera_of_which_one_bears_its_name(tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "stills", [1, 2])
    (folder / "front.png").write_bytes(encoded(3))
    bundles = open_rig_source(str(folder), ["front"]).bundles(200)
    assert [levels(bundle) for bundle in bundles] == [{"front": 1}, {"front": 2}, {"front": 3}]


def test_closing_lets_go_of_every_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_video(tmp_path / f"{name}.avi", [1] * 30, fps=10)
    before = len(os.listdir("/proc/self/fd"))
    with open_rig_source(str(tmp_path), ["a", "b"]) as rig:
        bundles = rig.bundles(200)
        next(bundles)
        assert len(os.listdir("/proc/self/fd")) == before + 2
    assert len(os.listdir("/proc/self/fd")) == before
    rig.close()


@pytest.mark.skipif(not (DATA / "nuscenes_sample").is_dir(), reason="../shared/data is absent")
def test_six_real_pictures_are_a_rig() -> None:
    (bundle,) = open_rig_source(str(DATA / "nuscenes_sample"), NUSCENES).bundles(200)
    assert [frame.camera for frame in bundle.frames] == list(NUSCENES)
    assert {frame.image.shape for frame in bundle.frames} == {(900, 1600, 3)}


@pytest.mark.skipif(not (DATA / "road_sequence").is_dir(), reason="../shared/data is absent")
def test_a_real_sequence_is_a_rig_of_one() -> None:
    rig = open_rig_source(str(DATA / "road_sequence"), ["front"])
    assert rig.expected_ticks(200) == 54
    bundles = rig.bundles(200)
    assert [next(bundles).frames[0].index for _ in range(3)] == [0, 1, 2]
