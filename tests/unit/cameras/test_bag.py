"""Recordings: every storage gives the same ticks, and whatever is damaged is counted or refused, never a traceback."""

from __future__ import annotations

import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2.enums import CompressionMode

from airside.cameras.bag_topics import image_topics, info_topics
from airside.cameras.rig_sources import open_rig_source
from airside.cameras.ros_images import CameraInfo
from airside.cameras.unpack import unpack
from airside.errors import AirsideError, InputError, UnavailableError, UsageError
from airside.messages import FrameBundle
from tests.bag_files import (
    COMPRESSED,
    INFO,
    MS,
    RAW,
    START_NS,
    CompressionType,
    S,
    Stored,
    compressed,
    drive,
    grey,
    info,
    raw,
    write_mcap,
    write_rosbag,
)  # fmt: skip
from tests.picture_files import encoded

RIG = ["front", "left"]
FRONT = "/front/image_raw/compressed"


def levels(bundles: list[FrameBundle]) -> list[dict[str, int]]:
    return [{frame.camera: int(frame.image[5, 5, 0]) for frame in bundle.frames} for bundle in bundles]


def seen(source: Path, cameras: list[str] = RIG) -> list[int]:
    """The greys of the front camera, each once, in order."""
    with open_rig_source(str(source), cameras) as rig:
        greys = [level["front"] for level in levels(list(rig.bundles(100))) if "front" in level]
    return [grey for i, grey in enumerate(greys) if i == 0 or greys[i - 1] != grey]


def mcap_of(name: str, **how: object) -> Callable[[Path, list[Stored]], Path]:
    return lambda folder, messages: write_mcap(folder / name, messages, **how)  # type: ignore[arg-type]


WRITERS: dict[str, Callable[[Path, list[Stored]], Path]] = {
    "sqlite3": lambda folder, messages: write_rosbag(folder / "bag", messages),
    "sqlite3 file": lambda folder, messages: write_rosbag(folder / "bag", messages) / "bag.db3",
    "sqlite3, messages compressed":
        lambda folder, messages: write_rosbag(folder / "bag", messages, compress=CompressionMode.MESSAGE),
    "mcap folder": lambda folder, messages: write_rosbag(folder / "bag", messages, "mcap"),
    "mcap folder, chunks compressed":
        lambda folder, messages: write_rosbag(folder / "bag", messages, "mcap", CompressionMode.STORAGE),
    "mcap folder, messages compressed":
        lambda folder, messages: write_rosbag(folder / "bag", messages, "mcap", CompressionMode.MESSAGE),
    "mcap file": mcap_of("own.mcap"),
    "mcap file, lz4": mcap_of("own.mcap", compression=CompressionType.LZ4),
}  # fmt: skip


@pytest.mark.parametrize("storage", WRITERS)
def test_every_storage_gives_the_same_ticks(storage: str, tmp_path: Path) -> None:
    source = WRITERS[storage](tmp_path, drive(RIG))
    with open_rig_source(str(source), [*RIG, "rear"]) as rig:
        assert rig.cameras == ("front", "left", "rear")
        assert rig.expected_ticks(200) == 6
        for _ in range(2):  # plays again
            bundles = list(rig.bundles(200))
            assert [(bundle.now_ns - START_NS) // MS for bundle in bundles] == [0, 200, 400, 600, 800, 1000]
            assert levels(bundles) == [
                {"front": 0}, {"front": 20, "left": 11}, {"front": 40, "left": 31}, {"front": 60, "left": 51},
                {"front": 80, "left": 71}, {"front": 90, "left": 91},
            ]  # fmt: skip
            left = bundles[2].frames[1]
            assert (left.camera, left.index, left.capture_ns) == ("left", 3, START_NS + 320 * MS)
        assert rig.faults == {"front": {}, "left": {}, "rear": {"missing": 1}}
        calibration = CameraInfo("front_optical", 48, 32, "plumb_bob", (0.1, -0.2, 0.0, 0.0, 0.3),
                                 (40.0, 0.0, 24.0, 0.0, 41.0, 16.0, 0.0, 0.0, 1.0))  # fmt: skip
        assert rig.camera_infos() == {"front": calibration, "left": calibration}  # type: ignore[attr-defined]


def test_airsides_own_topics_beside_its_overlay(tmp_path: Path) -> None:
    messages = [info("/airside/front/camera_info", START_NS, width=99)]
    for i in range(3):
        messages.append(compressed("/airside/front/image/compressed", START_NS + i * 200 * MS, i, kind="JPEG"))
        messages.append(compressed("/airside/front/overlay/compressed", START_NS + i * 200 * MS, 200))
        messages.append(compressed("/airside/bev/compressed", START_NS + i * 200 * MS, 201))
    with open_rig_source(str(write_mcap(tmp_path / "own.mcap", messages)), ["front"]) as rig:
        assert levels(list(rig.bundles(200))) == [{"front": 0}, {"front": 1}, {"front": 2}]
        assert rig.camera_infos()["front"].width == 99  # type: ignore[attr-defined]


# What the clock says


def played(tmp_path: Path, messages: list[Stored], tick_ms: int = 100):  # type: ignore[no-untyped-def]
    rig = open_rig_source(str(write_mcap(tmp_path / "bag.mcap", messages)), ["front"])
    return rig, list(rig.bundles(tick_ms))


def test_a_picture_is_there_when_it_was_there_on_the_vehicle(tmp_path: Path) -> None:
    messages = [compressed(FRONT, START_NS + i * 100 * MS, i, stamp_ns=START_NS + (i * 100 - 800) * MS)
                for i in range(4)]  # fmt: skip
    rig, bundles = played(tmp_path, messages)
    assert {bundle.now_ns - bundle.frames[0].capture_ns for bundle in bundles} == {800 * MS}
    assert rig.faults["front"] == {}


def test_stamps_that_are_not_there_or_of_another_clock(tmp_path: Path) -> None:
    for stamp_ns, said in ((0, "its stamp has none"), (5 * S, "before the recorder's time")):
        messages = [compressed(FRONT, START_NS + i * 100 * MS, i, stamp_ns=stamp_ns) for i in range(4)]
        rig, bundles = played(tmp_path, messages)
        assert [bundle.frames[0].capture_ns for bundle in bundles] == [bundle.now_ns for bundle in bundles]
        assert rig.faults["front"] == {"log_time": 1}
        assert said in rig.last_faults["front"]


def test_stamps_that_run_backwards_keep_the_order_of_the_log(tmp_path: Path) -> None:
    back_ms = [0, 0, 500, 500, 0]
    messages = [compressed(FRONT, START_NS + i * 100 * MS, i, stamp_ns=START_NS + (i * 100 - back_ms[i]) * MS)
                for i in range(5)]  # fmt: skip
    rig, bundles = played(tmp_path, messages)
    assert levels(bundles) == [{"front": i} for i in range(5)]
    assert rig.faults["front"] == {"clock_jump": 1}


def test_stamps_that_leap_ahead(tmp_path: Path) -> None:
    messages = [compressed(FRONT, START_NS + i * 100 * MS, i, stamp_ns=START_NS + (i * 100 + 3_600_000 * (i == 2)) * MS)
                for i in range(4)]  # fmt: skip
    rig, bundles = played(tmp_path, messages)
    assert [bundle.frames[0].capture_ns - START_NS for bundle in bundles] == [0, 100 * MS, 200 * MS, 300 * MS]
    assert rig.faults["front"] == {"clock_jump": 1, "log_time": 1}


def test_an_hour_in_which_nobody_recorded(tmp_path: Path) -> None:
    messages = [compressed(FRONT, START_NS + ms * MS, i) for i, ms in enumerate((0, 100, 3_600_000, 3_600_100))]
    rig, bundles = played(tmp_path, messages)
    assert [(b.now_ns - START_NS) // MS for b in bundles] == [0, 100, 3_600_000, 3_600_100]
    assert rig.faults["front"] == {"clock_jump": 1}


# What is damaged


def test_damaged_messages_in_the_middle(tmp_path: Path) -> None:
    bomb = bytearray(encoded(0))
    bomb[16:24] = struct.pack(">II", 60_000, 60_000)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bytes(bomb[12:29])))
    at = [START_NS + i * 100 * MS for i in range(8)]
    broken = compressed(FRONT, at[3], 3)
    messages = [
        compressed(FRONT, at[0], 0),
        compressed(FRONT, at[1], data=bytes(bomb)),
        compressed(FRONT, at[2], data=encoded(2)[:60]),
        Stored(broken.topic, broken.log_ns, broken.kind, broken.data[:30]),
        compressed(FRONT, at[4], data=b""),
        compressed(FRONT, at[5], 5, kind="BMP"),
        Stored(FRONT, at[6], COMPRESSED, b"\x28\xb5\x2f\xfd no zstd"),
        compressed(FRONT, at[7], 7),
    ]
    for source in (write_rosbag(tmp_path / "bag", messages), write_mcap(tmp_path / "bag.mcap", messages)):
        with open_rig_source(str(source), ["front"]) as rig:
            assert levels(list(rig.bundles(100))) == [{"front": 0}] * 7 + [{"front": 7}]
            assert rig.faults["front"] == {"unreadable": 6}


def test_not_one_picture_that_can_be_decoded(tmp_path: Path) -> None:
    messages = [compressed(FRONT, START_NS + i, data=b"none") for i in range(3)]
    with pytest.raises(InputError, match=r"none of 3 pictures could be decoded; the last: .*image_raw"):
        list(open_rig_source(str(write_mcap(tmp_path / "bag.mcap", messages)), ["front"]).bundles(200))


def test_a_killed_recorder_leaves_everything_up_to_its_last_chunk(tmp_path: Path) -> None:
    whole = write_mcap(tmp_path / "whole.mcap", drive(RIG, 12), chunk_bytes=1500, compression=CompressionType.LZ4)
    data = whole.read_bytes()
    counts = []
    for length in range(40, len(data), 211):
        cut = tmp_path / "cut.mcap"
        cut.write_bytes(data[:length])
        try:
            greys = seen(cut)
        except InputError:  # nothing had been written yet
            greys = []
        assert greys == [10 * i for i in range(len(greys))]
        counts.append(len(greys))
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 12)
    with open_rig_source(str(cut), RIG) as rig:
        list(rig.bundles(200))
        assert set(rig.faults["front"]) >= {"ended_early"}
        assert "cut off or damaged after" in rig.last_faults["left"]


def test_a_damaged_chunk_in_the_middle_is_left_out(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "bag.mcap", drive(["front"], 12), chunk_bytes=1)
    data = bytearray(path.read_bytes())
    at = data.index(encoded(50)) + 40  # in the chunk of the sixth picture
    data[at] ^= 0xFF
    path.write_bytes(data)
    with open_rig_source(str(path), ["front"]) as rig:
        assert [level["front"] for level in levels(list(rig.bundles(100)))] == [
            0,
            10,
            20,
            30,
            40,
            40,
            *range(60, 120, 10),
        ]
        assert rig.faults["front"] == {"damaged": 1}


@pytest.mark.parametrize("method", ["zstd", "lz4"])
def test_what_unpacks_to_too_much(method: str) -> None:
    import lz4.frame
    from backports import zstd

    packed = {"zstd": zstd.compress, "lz4": lz4.frame.compress}[method](bytes(100_000))
    assert unpack(packed, method, 100_000) == bytes(100_000)
    with pytest.raises(InputError, match="more than the 99,999 bytes allowed"):
        unpack(packed, method, 99_999)
    with pytest.raises(InputError, match="damaged"):
        unpack(b"\x00" + packed, method)
    with pytest.raises(InputError, match="compressed by 'bz2'"):
        unpack(packed, "bz2")


def test_a_cut_database(tmp_path: Path) -> None:
    path = write_rosbag(tmp_path / "bag", drive(RIG)) / "bag.db3"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"bag\.db3: truncated, damaged or no rosbag2 file.*\.recover"):
        list(open_rig_source(str(path.parent), RIG).bundles(200))


@pytest.mark.parametrize("metadata", [None, "no: [yaml", "rosbag2_bagfile_information: 5", "a: b"])
def test_without_its_metadata(metadata: str | None, tmp_path: Path) -> None:
    folder = write_rosbag(tmp_path / "bag", drive(["front"]))
    (folder / "metadata.yaml").unlink()
    if metadata is not None:
        (folder / "metadata.yaml").write_text(metadata)
    with open_rig_source(str(folder), ["front"]) as rig:
        assert len(list(rig.bundles(100))) == 10
        assert rig.faults["front"] == {"no_metadata": 1}


def test_a_recording_of_several_files_is_read_in_their_order(tmp_path: Path) -> None:
    messages = drive(["front"], 12)
    folder = tmp_path / "bag"
    folder.mkdir()
    for number, part in ((2, messages[:8]), (10, messages[8:])):  # by digits, not by letters
        write_mcap(folder / f"bag_{number}.mcap", part)
    assert seen(folder, ["front"]) == [10 * i for i in range(12)]
    names = "\n".join(f"  - bag_{number}.mcap" for number in (2, 3, 10))
    (folder / "metadata.yaml").write_text(f"rosbag2_bagfile_information:\n  relative_file_paths:\n{names}\n")
    with pytest.raises(InputError, match=r"its file bag_3\.mcap is missing"):
        open_rig_source(str(folder), ["front"])


def bad_recordings(folder: Path) -> dict[str, tuple[Path, str]]:
    (folder / "empty.mcap").write_bytes(b"")
    (folder / "empty.db3").write_bytes(b"")
    (folder / "noise.mcap").write_bytes(np.random.default_rng(0).bytes(3000))
    (folder / "noise.db3").write_bytes(np.random.default_rng(0).bytes(3000))
    (folder / "folder").mkdir()
    (folder / "folder" / "metadata.yaml").write_text("a: b")
    return {
        "empty mcap": (folder / "empty.mcap", "empty.mcap: is empty"),
        "empty db3": (folder / "empty.db3", "no rosbag2 file"),
        "noise mcap": (folder / "noise.mcap", "is no MCAP file"),
        "noise db3": (folder / "noise.db3", "no rosbag2 file"),
        "metadata alone": (folder / "folder", "no image topic; it has: none"),
        "no message": (write_rosbag(folder / "none", []), "no image topic; it has: none"),
        "no message in mcap": (write_mcap(folder / "none.mcap", []), "no image topic; it has: none"),
        "no image": (write_mcap(folder / "infos.mcap", [info("/front/camera_info", 5)]),
                     "no image topic; it has: /front/camera_info"),
        "JSON": (write_mcap(folder / "json.mcap", drive(["front"]), encoding="json"), "no image topic; it has: none"),
        "another rig": (write_mcap(folder / "other.mcap", drive(["a", "b"])), "named after a camera of the rig .front"),
        "packed whole": (write_rosbag(folder / "packed", drive(["front"]), compress=CompressionMode.FILE), "zstd -d"),
    }  # fmt: skip


def test_recordings_that_are_no_use(tmp_path: Path) -> None:
    for source, message in bad_recordings(tmp_path).values():
        with pytest.raises(InputError, match=message):
            list(open_rig_source(str(source), RIG).bundles(200))


def test_mutated_recordings_raise_nothing_but_our_own(tmp_path: Path) -> None:
    draw = random.Random(0)
    messages = drive(RIG, 4)
    sources = [write_rosbag(tmp_path / "bag", messages) / "bag.db3", write_mcap(tmp_path / "a.mcap", messages),
               write_mcap(tmp_path / "b.mcap", messages, compression=CompressionType.LZ4)]  # fmt: skip
    for turn in range(120):
        source = sources[turn % len(sources)]
        data = bytearray(source.read_bytes())
        start = draw.randrange(len(data))
        if turn % 2:
            data[start : start + draw.randrange(1, 60)] = draw.randbytes(30)
        for _ in range(draw.randrange(20)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        mutant = tmp_path / f"mutant{source.suffix}"
        mutant.write_bytes(data)
        try:
            with open_rig_source(str(mutant), RIG) as rig:
                assert sum(1 for _ in rig.bundles(200)) < 1000
                rig.camera_infos()  # type: ignore[attr-defined]
        except AirsideError:
            pass


# Pixels


def mosaic(red_at: tuple[int, int]) -> np.ndarray:
    """A red wall through a colour filter whose red lies at ``red_at`` of each 2 x 2."""
    pixels = grey(0, 1)
    pixels[red_at[0] :: 2, red_at[1] :: 2] = 200
    return pixels


def pixel(*values: int) -> np.ndarray:
    return np.broadcast_to(np.array(values, np.uint8), (32, 48, len(values))).copy()


RED = {
    "rgb8": pixel(200, 0, 0), "bgr8": pixel(0, 0, 200), "8UC3": pixel(0, 0, 200), "rgba8": pixel(200, 0, 0, 9),
    "bgra8": pixel(0, 0, 200, 9), "bayer_rggb8": mosaic((0, 0)), "bayer_bggr8": mosaic((1, 1)),
    "bayer_gbrg8": mosaic((1, 0)), "bayer_grbg8": mosaic((0, 1)),
}  # fmt: skip


@pytest.mark.parametrize("encoding", RED)
def test_raw_pictures(encoding: str, tmp_path: Path) -> None:
    _, (bundle,) = played(tmp_path, [raw("/front/image_raw", START_NS, RED[encoding], encoding, pad=5)])
    image = bundle.frames[0].image
    assert image.shape == (32, 48, 3)
    assert image.dtype == np.uint8
    assert [int(value) for value in np.median(image.reshape(-1, 3), axis=0)] == [200, 0, 0]


@pytest.mark.parametrize(("encoding", "pixels"), [
    ("mono8", pixel(77)), ("yuv422", np.tile(np.array([[128, 82], [128, 82]], np.uint8), (32, 24, 1))),
    ("yuv422_yuy2", np.tile(np.array([[82, 128], [82, 128]], np.uint8), (32, 24, 1))),
])  # fmt: skip
def test_raw_grey(encoding: str, pixels: np.ndarray, tmp_path: Path) -> None:
    """82 in video range (16 to 235) is 77 in full range."""
    _, (bundle,) = played(tmp_path, [raw("/front/image_raw", START_NS, pixels, encoding)])
    assert np.abs(bundle.frames[0].image.astype(int) - 77).max() <= 1


def test_an_encoding_nobody_knows_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="encoding '32FC1' is not known; record it compressed, or with one of: rgb8"):
        played(tmp_path, [raw("/front/image_raw", START_NS, grey(1, 4), "32FC1")])


def test_raw_pictures_that_are_none(tmp_path: Path) -> None:
    good = grey(5, 3)
    bad: list[dict[str, object]] = [
        {"height": 2**31, "width": 2**31}, {"height": 33}, {"step": 10}, {"width": 49}, {"height": 0}, {"width": 0},
        {"step": 2**32 - 1}, {"encoding": "?"},
    ]  # fmt: skip
    messages = [raw("/front/image_raw", START_NS, good, "rgb8")]
    messages += [raw("/front/image_raw", START_NS + (i + 1) * 100 * MS, good, "rgb8", **change)
                 for i, change in enumerate(bad)]  # fmt: skip
    rig, bundles = played(tmp_path, messages)
    assert levels(bundles) == [{"front": 5}] * (len(bad) + 1)
    assert rig.faults["front"] == {"unreadable": len(bad)}


# Topics


def test_which_topic_is_which_camera() -> None:
    def topics(*images: str) -> dict[str, str]:
        return {topic: COMPRESSED if "compressed" in topic else RAW for topic in images} | {"/front/camera_info": INFO}

    assert image_topics(topics("/front/image_raw/compressed", "/front/image_raw", "/front/image_rect"), RIG, {}) == {
        "front": "/front/image_raw/compressed"
    }
    assert image_topics(topics("/front/image_raw", "/front/debug", "/front_left/image_raw"), RIG, {}) == {
        "front": "/front/image_raw"
    }
    assert image_topics(topics("/car/front", "/car/left/rect"), RIG, {}) == {
        "front": "/car/front", "left": "/car/left/rect"
    }  # fmt: skip
    assert image_topics(topics("/a", "/b"), RIG, {"left": "/a", "gone": "/x"}) == {"left": "/a"}
    assert image_topics(topics("/only"), ["front"], {}) == {"front": "/only"}
    assert info_topics(topics(), {"front": "/front/image_raw/compressed", "left": "/left/image"}) == {
        "front": "/front/camera_info"
    }
    with pytest.raises(UsageError, match=r"several topics .*: /front/overlay, /front/rect; say which"):
        image_topics(topics("/front/rect", "/front/overlay"), RIG, {})
    with pytest.raises(UsageError, match="camera left: the recording has no image topic /z; it has: /a"):
        image_topics(topics("/a"), RIG, {"left": "/z"})
    with pytest.raises(InputError, match="say which is which, it has: /a, /b"):
        image_topics(topics("/a", "/b"), RIG, {})


def test_topics_may_be_told(tmp_path: Path) -> None:
    path = write_mcap(tmp_path / "bag.mcap", drive(["cam0", "cam1"]))
    told = {"front": "/cam1/image_raw/compressed", "left": "/cam0/image_raw/compressed"}
    with open_rig_source(str(path), RIG, topics=told) as rig:
        assert levels(list(rig.bundles(200)))[1] == {"front": 11, "left": 20}


# Around it


def test_closing_ends_a_running_replay_and_lets_go_of_the_file(tmp_path: Path) -> None:
    for source in (write_rosbag(tmp_path / "bag", drive(RIG, 20)), write_mcap(tmp_path / "bag.mcap", drive(RIG, 20))):
        before = len(os.listdir("/proc/self/fd"))
        with open_rig_source(str(source), RIG) as rig:
            bundles = rig.bundles(200)
            next(bundles)
            assert len(os.listdir("/proc/self/fd")) > before
        assert len(os.listdir("/proc/self/fd")) == before
        assert sum(1 for _ in bundles) <= 2


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_mcap(tmp_path / "bag.mcap", drive(RIG))

    def gone(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("airside.cameras.unpack.importlib.import_module", gone)
    with pytest.raises(UnavailableError, match=r"pip install 'airside\[vehicle\]'"):
        open_rig_source(str(path), RIG)
