"""Every kind of source: what it plays, what it counts, what it refuses."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from airside.cameras.camera import Camera
from airside.cameras.capture import check_frame_size, read_rgb
from airside.cameras.sources import open_camera, without_password
from airside.cameras.stills import natural_key
from airside.errors import InputError, UnavailableError, UsageError

ROAD = Path(__file__).parents[3].parent / "shared" / "data" / "road_sequence"


def save_picture(path: Path, level: int, size: tuple[int, int] = (32, 48)) -> None:
    Image.fromarray(np.full((*size, 3), level, np.uint8)).save(path)


def save_video(path: Path, frames: int = 12, fps: float = 10.0, fourcc: str = "MJPG") -> None:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*fourcc), fps, (64, 48))
    assert writer.isOpened()
    for i in range(frames):
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[:, :, 2] = min(20 * i, 255)  # red in OpenCV's order
        writer.write(picture)
    writer.release()


def test_folder_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 9, 1, 100):
        save_picture(tmp_path / f"shot{number}.png", number)
    (tmp_path / "notes.txt").write_text("no picture")
    save_picture(tmp_path / ".hidden.png", 7)
    (tmp_path / "folder.png").mkdir()
    with open_camera(str(tmp_path), "left", fps=5) as camera:
        assert isinstance(camera, Camera)
        frames = list(camera.frames())
        assert [int(f.image[0, 0, 0]) for f in frames] == [1, 9, 10, 100]
        assert [f.capture_ns for f in frames] == [0, 200_000_000, 400_000_000, 600_000_000]
        assert [f.index for f in frames] == [0, 1, 2, 3]
        assert {f.camera for f in frames} == {"left"}
        assert len(list(camera.frames())) == 4  # plays again
        assert not camera.faults


def test_natural_key() -> None:
    names = ["b", "a10", "a9", "a", "a01", "a1", "1", "A9b", ""]
    assert sorted(names, key=natural_key) == ["", "1", "a", "a01", "a1", "a9", "A9b", "a10", "b"]


def test_unreadable_picture_is_counted_and_its_time_passes(tmp_path: Path) -> None:
    for number in range(4):
        save_picture(tmp_path / f"{number}.png", number)
    (tmp_path / "1.png").write_bytes(b"")
    (tmp_path / "2.png").write_bytes((tmp_path / "3.png").read_bytes()[:40])
    camera = open_camera(str(tmp_path))
    assert [(f.index, f.capture_ns) for f in camera.frames()] == [(0, 0), (3, 600_000_000)]
    assert camera.faults == {"unreadable": 2}
    assert camera.last_fault is not None
    assert "2.png" in camera.last_fault


def test_folder_without_one_readable_picture(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"none of 2 pictures could be read; the first: .*0\.png.*empty"):
        list(open_camera(str(tmp_path)).frames())


def test_folder_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="holds no picture"):
        open_camera(str(tmp_path))

    def denied(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(InputError, match="cannot be listed"):
        open_camera(str(tmp_path))


def test_one_picture(tmp_path: Path) -> None:
    save_picture(tmp_path / "one.JPG", 90)
    (frame,) = open_camera(str(tmp_path / "one.JPG")).frames()
    assert frame.image.shape == (32, 48, 3)
    (tmp_path / "two.jpg").write_bytes(b"no")
    with pytest.raises(InputError, match="not a picture"):
        list(open_camera(str(tmp_path / "two.jpg")).frames())


@pytest.mark.parametrize(("suffix", "fourcc"), [("avi", "MJPG"), ("mp4", "mp4v")])
def test_video(tmp_path: Path, suffix: str, fourcc: str) -> None:
    path = tmp_path / f"film.{suffix}"
    save_video(path, fourcc=fourcc)
    with open_camera(str(path)) as camera:
        frames = list(camera.frames())
        assert len(frames) == 12
        assert [f.capture_ns for f in frames] == [i * 100_000_000 for i in range(12)]
        assert frames[9].image.shape == (48, 64, 3)
        red, green, blue = frames[9].image.reshape(-1, 3).mean(axis=0)
        assert abs(red - 180) < 12
        assert max(green, blue) < 12
        assert not camera.faults
        assert len(list(camera.frames())) == 12  # plays again


def test_closing_ends_a_running_video(tmp_path: Path) -> None:
    save_video(tmp_path / "film.avi")
    camera = open_camera(str(tmp_path / "film.avi"))
    frames = camera.frames()
    next(frames)
    camera.close()
    camera.close()
    assert list(frames) == []
    assert not camera.faults


def test_video_that_ends_early_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "film.avi"
    save_video(path, frames=40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    camera = open_camera(str(path))
    frames = list(camera.frames())
    assert 5 < len(frames) < 35
    assert camera.faults["ended_early"] == 1
    assert camera.last_fault is not None
    assert "of 40 frames" in camera.last_fault


def bad_videos(folder: Path) -> dict[str, tuple[bytes, str]]:
    save_video(folder / "good.mp4", fourcc="mp4v")
    good = (folder / "good.mp4").read_bytes()
    noise = np.random.default_rng(0).integers(0, 255, 5000, np.uint8).tobytes()
    return {
        "empty.mp4": (b"", "is empty"),
        "noise.mp4": (noise, "truncated, damaged"),
        "noise.avi": (noise, "truncated, damaged"),
        "text.mkv": (b"hello\n" * 100, "truncated, damaged"),
        "cut.mp4": (good[: len(good) // 2], "truncated, damaged"),  # its index is at the end
        "list.mp4": (b"ffconcat version 1.0\nfile /etc/passwd\n", "truncated, damaged"),
    }


def test_bad_videos_are_refused_quietly(tmp_path: Path) -> None:
    """In one process of its own, so that what the libraries themselves print is seen."""
    cases = bad_videos(tmp_path)
    for name, (data, _) in cases.items():
        (tmp_path / name).write_bytes(data)
    program = (
        "import sys\n"
        "from airside.cameras.sources import open_camera\n"
        "from airside.errors import InputError\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n        open_camera(path)\n        print('opened')\n"
        "    except InputError as error:\n        print(error)\n"
    )
    paths = [str(tmp_path / name) for name in cases]
    done = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    for line, path, (_, message) in zip(done.stdout.splitlines(), paths, cases.values(), strict=True):
        assert path in line
        assert message in line


def test_video_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_video(tmp_path / "film.avi")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(InputError, match="no permission"):
        open_camera(str(tmp_path / "film.avi"))


class SizedCapture:
    """Announces a size; decoding it is forbidden."""

    def __init__(self, width: int, height: int) -> None:
        self.size = {cv2.CAP_PROP_FRAME_WIDTH: width, cv2.CAP_PROP_FRAME_HEIGHT: height}

    def isOpened(self) -> bool:
        return True

    def get(self, prop: int, /) -> float:
        return self.size.get(prop, 0)

    def grab(self) -> bool:
        raise AssertionError("decoded")

    def retrieve(self) -> tuple[bool, np.ndarray]:
        raise AssertionError("decoded")

    def release(self) -> None:
        pass


@pytest.mark.parametrize(
    ("width", "height", "message"), [(20_000, 20_000, "400,000,000 pixels"), (64, 8, "too small"), (0, 0, "too small")]
)
def test_frame_size_is_checked_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, height: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        check_frame_size(SizedCapture(width, height), "film")
    (tmp_path / "film.mp4").write_bytes(b"x")
    monkeypatch.setattr("airside.cameras.video.open_file", lambda _: SizedCapture(width, height))
    with pytest.raises(InputError, match=message):
        open_camera(str(tmp_path / "film.mp4"))


def test_read_rgb_takes_grey_and_refuses_nothing_else() -> None:
    capture = SizedCapture(20, 20)
    for answer, shape in (
        ((True, np.full((20, 20), 9, np.uint8)), (20, 20, 3)),
        ((True, np.full((20, 20, 3), 9, np.uint8)), (20, 20, 3)),
        ((False, np.zeros((20, 20, 3), np.uint8)), None),
        ((True, np.zeros((0, 0, 3), np.uint8)), None),
        ((True, np.zeros((20, 20, 3), np.float32)), None),
    ):
        capture.retrieve = lambda answer=answer: answer  # type: ignore[method-assign, misc]
        image = read_rgb(capture)
        assert (None if image is None else image.shape) == shape


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("", UsageError, "source is empty"),
        ("no/such/place", InputError, "no such file or folder"),
        ("a\0b", InputError, "no such file|cannot be looked at"),
        ("http://example.org/film.mp4", UsageError, "wanted rtsp or rtsps, got http"),
        ("file:///etc/passwd", UsageError, "got file"),
        ("/dev/video987", UnavailableError, "not there; connected"),
        ("987", UnavailableError, "/dev/video987: not there"),
        ("/dev/null", UnavailableError, "cannot be opened"),
    ],
)
def test_refused_sources(source: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_camera(source, timeout_s=1)


def test_file_of_no_known_kind(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match="neither a picture"):
        open_camera(str(tmp_path / "a.txt"))


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_fps_must_be_positive(tmp_path: Path, fps: float) -> None:
    with pytest.raises(UsageError, match="fps must be"):
        open_camera(str(tmp_path), fps=fps)


def test_device_without_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airside.cameras.sources.os.access", lambda *_: False)
    with pytest.raises(UnavailableError, match="usermod -aG video"):
        open_camera("/dev/null")


def test_stream_that_refuses_or_keeps_silent() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(UnavailableError, match=r"rtsp://me:\*\*\*@127.0.0.1.*cannot be opened") as caught:
        open_camera(f"rtsp://me:secret@127.0.0.1:{port}/a", timeout_s=2)
    assert "secret" not in str(caught.value)
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted: list[socket.socket] = []
        thread = threading.Thread(target=lambda: accepted.append(server.accept()[0]), daemon=True)
        thread.start()
        with pytest.raises(UnavailableError, match="cannot be opened"):
            open_camera(f"rtsp://127.0.0.1:{server.getsockname()[1]}/a", timeout_s=0.5)
        thread.join(5)
        for connection in accepted:
            connection.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://host/a", "rtsp://host/a"),
        ("rtsp://me:secret@host:554/a?b=1", "rtsp://me:***@host:554/a?b=1"),
        ("rtsp://me:s@cret@host/a", "rtsp://me:***@host/a"),
        ("rtsp://[bad:secret@host/a", "rtsp://..."),
    ],
)
def test_without_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.mark.skipif(not ROAD.is_dir(), reason="../shared/data is absent")
def test_real_sequence() -> None:
    frames = open_camera(str(ROAD)).frames()
    shapes = {next(frames).image.shape for _ in range(5)}
    assert shapes == {(720, 1280, 3)}
