"""A whole rig live: cameras played in real time, each fault of each kind, and what is left behind at the end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from airside.cameras.capture import device_stamp_ns
from airside.cameras.live import LiveCamera, LiveSource
from airside.cameras.live_rig import LiveRig, open_live_rig
from airside.cameras.stamps import CaptureClock
from airside.errors import UnavailableError, UsageError
from airside.messages import Frame
from eval.live_sources import FAULTS, PacedCamera
from tests.picture_files import SHAPE, encoded, flat

NAMES = ("front", "left", "rear")
S = 1_000_000_000


def wait_until(condition: Callable[[], object], what: str = "it") -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen within 10 s"
        time.sleep(0.005)


def paced(first: int = 0, fps: float = 50.0) -> PacedCamera:
    """Pictures of 20 grey levels from ``first`` on."""
    return PacedCamera([flat(first + level) for level in range(20)], fps, label=f"paced {first}")


@contextmanager
def rig_of(cameras: dict[str, PacedCamera]) -> Iterator[LiveRig]:
    sources = {name: camera.source for name, camera in cameras.items()}
    with LiveRig(sources, timeout_s=2.0, reconnect_s=0.02) as rig:
        yield rig


def newest(rig: LiveRig, name: str) -> Frame | None:
    return next((f for f in rig.newest(time.monotonic_ns()).frames if f.camera == name), None)


def age_s(rig: LiveRig, name: str) -> float:
    frame = newest(rig, name)
    assert frame is not None
    return (time.monotonic_ns() - frame.capture_ns) / 1e9


def test_the_newest_of_every_camera_in_the_rigs_order() -> None:
    with rig_of({name: paced(50 * i) for i, name in enumerate(NAMES)}) as rig:
        assert rig.cameras == NAMES
        wait_until(lambda: len(rig.newest(0).frames) == 3)
        bundle = rig.newest(123)
        assert bundle.now_ns == 123
        assert [frame.camera for frame in bundle.frames] == list(NAMES)
        assert [int(frame.image[0, 0, 0]) // 50 for frame in bundle.frames] == [0, 1, 2]
        wait_until(lambda: all(f.index > 10 for f in rig.newest(0).frames), "a newer frame")
        assert all(rig.connected.values())
        assert all(count["read_failed"] == 0 for count in rig.faults.values())


def test_a_camera_that_does_not_open_stops_nobody_and_comes_when_it_can() -> None:
    cameras = {name: paced() for name in NAMES}
    cameras["left"].fault = "off"
    with rig_of(cameras) as rig:
        assert rig.connected == {"front": True, "left": False, "rear": True}
        wait_until(lambda: len(rig.newest(0).frames) == 2)
        assert "cannot be opened" in rig.last_faults["left"]
        assert rig.faults["left"]["read_failed"] >= 1
        cameras["left"].fault = "none"
        wait_until(lambda: len(rig.newest(0).frames) == 3, "left")


def test_no_camera_at_all_is_an_error_that_leaves_nothing() -> None:
    cameras = {name: paced() for name in NAMES}
    for camera in cameras.values():
        camera.fault = "off"
    with pytest.raises(UnavailableError, match=r"no camera of the rig has opened; camera front: .*rear: "), \
            rig_of(cameras):  # fmt: skip
        pass
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("camera-")]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("off", "read_failed"), ("garbage", "undecodable"), ("clock_jump", "clock_jump")],
)
def test_a_fault_is_counted_for_its_camera_alone_and_goes_again(fault: str, reason: str) -> None:
    cameras = {name: paced() for name in NAMES}
    with rig_of(cameras) as rig:
        wait_until(lambda: len(rig.newest(0).frames) == 3)
        cameras["left"].fault = fault
        wait_until(lambda: rig.faults["left"][reason] >= 1, reason)
        assert reason not in rig.faults["front"]
        assert set(rig.last_faults) == {"left"}
        cameras["left"].fault = "none"
        time.sleep(0.1)  # whatever was under way has been counted
        before, counted = newest(rig, "left"), rig.faults["left"][reason]
        assert before is not None
        wait_until(lambda: (f := newest(rig, "left")) is not None and f.index > before.index + 3, "recovery")
        assert age_s(rig, "left") < 5
        assert rig.faults["left"][reason] == counted


@pytest.mark.parametrize("fault", ["off", "garbage"])
def test_what_cannot_be_used_leaves_the_frame_before_to_grow_old(fault: str) -> None:
    cameras = {"front": paced()}
    with rig_of(cameras) as rig:
        wait_until(lambda: len(rig.newest(0).frames) == 1)
        cameras["front"].fault = fault
        wait_until(lambda: age_s(rig, "front") > 0.4, "ageing")
        frame = newest(rig, "front")
        assert frame is not None
        assert frame.image.shape == SHAPE


def test_what_the_pictures_of_each_fault_look_like() -> None:
    camera = paced(first=100)
    with rig_of({"front": camera}) as rig:

        def shown(fault: str) -> list[Frame]:
            """Five frames under ``fault``."""
            camera.fault = fault
            time.sleep(0.1)
            frames: dict[int, Frame] = {}
            wait_until(lambda: (f := newest(rig, "front")) is None or frames.update({f.index: f}) or len(frames) >= 5)
            return list(frames.values())

        assert len({frame.image.tobytes() for frame in shown("none")}) > 1
        assert len({frame.image.tobytes() for frame in shown("frozen")}) == 1
        assert {int(frame.image.max()) for frame in shown("black")} == {0}
        assert min(float(frame.image.std()) for frame in shown("noise")) > 50
        shown("delayed")
        wait_until(lambda: 0.9 < age_s(rig, "front") < 1.5, "the delay")


def test_slow_and_intermittent_cameras() -> None:
    cameras = {name: paced() for name in ("slow", "intermittent", "well")}
    cameras["slow"].fault, cameras["intermittent"].fault = "slow", "intermittent"
    with rig_of(cameras) as rig:
        wait_until(lambda: len(rig.newest(0).frames) == 3)
        for name in ("slow", "intermittent"):
            wait_until(lambda name=name: age_s(rig, name) > 0.5, f"{name} growing old")  # type: ignore[misc]
            wait_until(lambda name=name: age_s(rig, name) < 0.2, f"{name} coming back")  # type: ignore[misc]
        assert rig.faults["intermittent"]["read_failed"] == 0


def test_a_source_of_garbage_alone_is_opened_again() -> None:
    camera, openings = paced(), []
    camera.fault = "garbage"
    way = camera.source

    def opened():  # type: ignore[no-untyped-def]
        openings.append(1)
        return way.open()

    source = LiveSource(opened, "garbage")
    with LiveCamera(source, name="a", timeout_s=0.1, reconnect_s=0.01) as live:
        wait_until(lambda: len(openings) >= 3, "opening again")
        assert live.latest() is None
        assert live.faults["undecodable"] >= 2


def test_jpeg_bytes_are_decoded_as_a_cameras_own() -> None:
    camera = PacedCamera([encoded(40, "JPEG"), encoded(200, "JPEG")], fps=50)
    with rig_of({"front": camera}) as rig:
        seen: set[int] = set()
        wait_until(lambda: [seen.add(int(f.image[0, 0, 0]) // 100) for f in rig.newest(0).frames] and len(seen) == 2)
    with pytest.raises(ValueError, match="no fault 'sleepy'; there are: none, off, "):
        camera.fault = "sleepy"
    assert {"frozen", "black", "garbage", "wrong_size", "slow", "delayed", "intermittent", "clock_jump"} <= set(FAULTS)


def test_frames_carry_the_sources_own_stamp() -> None:
    """The stamps lie on the camera's grid of 20 ms, which arrival times do not."""
    camera = paced()
    with rig_of({"front": camera}) as rig:
        stamps: set[int] = set()
        wait_until(lambda: [stamps.add(f.capture_ns) for f in rig.newest(0).frames] and len(stamps) >= 5)
    assert all(abs((stamp - camera.start_ns) % 20_000_000 - 0) < 2000
               or abs((stamp - camera.start_ns) % 20_000_000 - 20_000_000) < 2000 for stamp in stamps)  # fmt: skip


def test_which_stamps_are_believed() -> None:
    clock = CaptureClock()
    answers = [
        clock.capture_ns(stamp, arrival)
        for stamp, arrival in [
            (None, 100 * S), (99 * S, 100 * S), (101 * S, 101 * S), (101 * S, 102 * S),  # the same again is no jump
            (100 * S, 103 * S), (105 * S, 104 * S), (106 * S, 105 * S), (95 * S, 105 * S), (100 * S, 106 * S),
        ]
    ]  # fmt: skip
    assert [answer // S for answer in answers] == [100, 99, 101, 101, 100, 104, 105, 105, 100]
    assert clock.jumps == 2  # backwards, then into the future


@pytest.mark.parametrize(("told_ms", "stamp_ns"), [(0.0, None), (-1.0, None), (float("nan"), None), (1.5, 1_500_000)])
def test_the_drivers_stamp(told_ms: float, stamp_ns: int | None) -> None:
    class Told:
        def get(self, prop: int, /) -> float:
            assert prop == cv2.CAP_PROP_POS_MSEC
            return told_ms

    assert device_stamp_ns(Told()) == stamp_ns  # type: ignore[arg-type]


def test_closing_leaves_no_thread_and_no_file() -> None:
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with rig_of({name: paced() for name in NAMES}) as rig:
            wait_until(lambda rig=rig: len(rig.newest(0).frames) == 3)  # type: ignore[misc]
        rig.close()
        assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == files


def test_hanging_reads_do_not_hold_the_program() -> None:
    class Hanging:
        def __init__(self) -> None:
            self.goes_on, self.released = threading.Event(), threading.Event()

        def isOpened(self) -> bool:
            return True

        def get(self, prop: int, /) -> float:
            return 100.0

        def grab(self) -> bool:
            self.goes_on.wait()
            return False

        def retrieve(self) -> tuple[bool, np.ndarray]:
            raise AssertionError

        def release(self) -> None:
            self.released.set()

    hanging = [Hanging(), Hanging(), Hanging()]
    rig = LiveRig({str(i): LiveSource(lambda h=h: h, "it") for i, h in enumerate(hanging)}, timeout_s=0.1)  # type: ignore[misc]
    assert rig.newest(5).frames == ()
    begin = time.monotonic()
    rig.close()
    assert time.monotonic() - begin < 3 * 1.1  # together, not one after the other
    assert all(count["abandoned"] == 1 for count in rig.faults.values())
    for one in hanging:
        one.goes_on.set()
    wait_until(lambda: all(one.released.is_set() for one in hanging), "letting go")
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("camera-")], "ending")


def test_from_words_to_a_rig() -> None:
    with pytest.raises(UnavailableError, match=r"no camera .*video986: not there.*video987: not there"):
        open_live_rig({"a": "986", "b": "/dev/video987"}, timeout_s=0.5)
    with pytest.raises(UsageError, match="wanted a live camera"):
        open_live_rig({"a": "some/folder"})
    with pytest.raises(UsageError, match="wanted rtsp"):
        open_live_rig({"a": "http://host/a"})
