"""The overlay: right places and colours, every odd input drawn or refused, films whole or absent."""

from __future__ import annotations

import dataclasses
import resource
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest

from airside.cameras.fit import fit_to_network
from airside.cameras.sources import open_camera
from airside.drawing import put_text, shortened, smooth_closed, text_width
from airside.errors import InputError, StorageError, UsageError
from airside.messages import Frame, Health, HealthState, Kind, Level, Placement, Region, Sighting, TickRecord
from airside.overlay import _lay_over, draw_overlay, one_above_other
from airside.overlay_text import FOOTER, HEADER, LEVEL_COLOURS, detail_of, frame_colour, sighting_colour
from airside.video_writer import VideoWriter
from tests.records import tick_record


def frame(height: int = 720, width: int = 1280, level: int = 90) -> Frame:
    return Frame("front", np.full((height, width, 3), level, np.uint8), 0, 0)


def sighting(
    x0: float, y0: float, x1: float, y1: float, kind: Kind = Kind.UNKNOWN, level: Level = Level.STOP, name: str = "cone"
) -> Sighting:
    outline = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float32)
    region = Region(kind, name, 0.41, 0.9, 9.0, (x0, y0, x1, y1), outline)
    return Sighting("front", region, Placement(12.34, np.radians(8), (12.2, 1.7, 0.0)), level, ("because",))


def record(*sightings: Sighting, health: Health = Health(HealthState.OK), valid: bool = True) -> TickRecord:  # noqa: B008
    return tick_record(7, valid=valid, health=health, sightings=sightings, timing_ms={"engine": 30.0})


def draw(view: Frame, tick: TickRecord, score: np.ndarray | None = None, threshold: float = 0.6) -> np.ndarray:
    fitted = fit_to_network(view.image, 224, 392, 14)
    return draw_overlay(view, fitted, np.zeros((16, 28), np.float32) if score is None else score, tick, threshold)


def picture_of(overlay: np.ndarray) -> np.ndarray:
    return overlay[HEADER:-FOOTER]


def test_a_quiet_picture_is_left_alone() -> None:
    view = Frame("front", np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8), 0, 0)
    overlay = draw(view, record())
    assert overlay.shape == (720 + HEADER + FOOTER, 1280, 3)
    assert overlay.dtype == np.uint8
    np.testing.assert_array_equal(picture_of(overlay), view.image)


@pytest.mark.parametrize("size", [(720, 1280), (416, 416), (480, 360), (1080, 1920)])
@pytest.mark.parametrize("factor", [1, 14])
def test_heat_lies_where_the_score_is(size: tuple[int, int], factor: int) -> None:
    view = frame(*size)
    fitted = fit_to_network(view.image, 224, 392, 14)
    score = np.zeros((16, 28), np.float32)
    score[10, 12] = 1.0
    fine = np.kron(score, np.ones((factor, factor), np.float32))
    overlay = draw(view, record(), fine)
    difference = np.abs(overlay.astype(int) - draw(view, record()).astype(int)).sum(axis=2)
    difference[: HEADER + 1] = difference[-FOOTER:] = 0
    rows, columns = np.nonzero(difference > difference.max() * 0.5)
    zoom = min(1280 / size[1], 1280 / size[0])
    u = (12.5 * 14 - 0.5) * fitted.scale[0] + fitted.offset_px[0]
    v = (10.5 * 14 - 0.5) * fitted.scale[1] + fitted.offset_px[1]
    left = (1280 - round(size[1] * zoom)) / 2
    assert abs(columns.mean() - (left + (u + 0.5) * zoom - 0.5)) < 4
    assert abs(rows.mean() - (HEADER + (v + 0.5) * zoom - 0.5)) < 4


def test_heat_rises_with_the_score_and_needs_the_threshold_near() -> None:
    def change(score: float, threshold: float) -> float:
        overlay = draw(frame(), record(), np.full((16, 28), score, np.float32), threshold)
        return float(np.abs(picture_of(overlay).astype(int) - 90).mean())

    changes = [change(score, 0.6) for score in (0.3, 0.5, 0.6, 1.0)]
    assert changes[0] == 0
    assert changes == sorted(changes)
    assert changes[1] < changes[2] / 2
    assert change(0.65, 0.999) == 0  # a calibrated threshold close to 1 keeps the picture clear
    assert change(0.9995, 0.999) > 10


def test_no_heat_on_what_is_not_observed() -> None:
    view = frame()
    fitted = fit_to_network(view.image, 224, 392, 14)
    blind = dataclasses.replace(fitted, observed=np.zeros((16, 28), bool))
    overlay = draw_overlay(view, blind, np.ones((16, 28), np.float32), record(), 0.6)
    assert (picture_of(overlay) == 90).all()


@pytest.mark.parametrize("size", [(720, 1280), (360, 640), (500, 500)])
def test_outlines_lie_where_the_region_is(size: tuple[int, int]) -> None:
    height, width = size
    box = (width * 0.25, height * 0.25, width * 0.75, height * 0.75)
    overlay = draw(frame(*size), record(sighting(*box)))
    zoom = min(1280 / width, 1280 / height)
    row, column = HEADER + round(height * zoom * 0.5), (1280 - round(width * zoom)) // 2 + round(width * zoom * 0.25)
    near = overlay[row, column - 4 : column + 5].astype(int)
    assert np.abs(near - LEVEL_COLOURS[Level.STOP]).sum(axis=1).min() < 30
    assert (overlay[row, column + 120] == 90).all()


def test_colours() -> None:
    box = (1.0, 1.0, 9.0, 9.0)
    assert sighting_colour(sighting(*box, level=Level.STOP)) == LEVEL_COLOURS[Level.STOP]
    assert sighting_colour(sighting(*box, level=Level.NONE)) == LEVEL_COLOURS[Level.NOTICE]  # unknown is never teal
    red, green, _ = sighting_colour(sighting(*box, Kind.KNOWN, Level.NONE))
    assert green > red
    assert sighting_colour(sighting(*box, Kind.KNOWN, Level.NOTICE)) == LEVEL_COLOURS[Level.NOTICE]


def test_border_tells_the_worse_of_health_and_level() -> None:
    loud = sighting(1, 1, 9, 9, level=Level.SLOW_STOP)
    assert frame_colour(record()) is None
    assert frame_colour(record(sighting(1, 1, 9, 9, level=Level.NOTICE))) is None
    assert frame_colour(record(loud)) == LEVEL_COLOURS[Level.SLOW_STOP]
    assert frame_colour(record(health=Health(HealthState.DEGRADED))) is not None
    blind = record(loud, health=Health(HealthState.BLIND, ("black_frame",)))
    assert frame_colour(blind) == frame_colour(record(health=Health(HealthState.BLIND)))


def test_header_does_not_call_a_blind_view_quiet() -> None:
    def right_of_header(tick: TickRecord) -> np.ndarray:
        return draw(frame(), tick)[:HEADER, 1000:]

    quiet = right_of_header(record())
    assert not np.array_equal(quiet, right_of_header(record(health=Health(HealthState.BLIND))))
    assert not np.array_equal(quiet, right_of_header(record(valid=False)))


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (sighting(0, 0, 9, 9, name="belt_loader"), "nearest belt loader 0.41 · 12.3 m · 8° left"),
        (dataclasses.replace(sighting(0, 0, 9, 9), placement=None), "nearest cone 0.41"),
        (
            dataclasses.replace(sighting(0, 0, 9, 9, Kind.KNOWN), placement=Placement(120.0, -0.2, (1, 1, 0))),
            "similarity 0.41 · 120 m · 11° right",
        ),
        (
            dataclasses.replace(sighting(0, 0, 9, 9, Kind.KNOWN), placement=Placement(3.0, 0.001, (1, 1, 0))),
            "similarity 0.41 · 3.0 m · ahead",
        ),
    ],
)
def test_detail_line(shown: Sighting, text: str) -> None:
    assert detail_of(shown) == text


def test_odd_input_is_drawn() -> None:
    many = [sighting(40 * i, 300 + i, 40 * i + 30, 340, level=Level(i % 5)) for i in range(30)]
    odd = [
        sighting(-500, -500, 5000, 5000, name="a very long name of a class " * 20),
        sighting(5, 5, 5, 5, name="гусь 鹅 ✈"),
        dataclasses.replace(many[0], region=dataclasses.replace(many[0].region, outline_px=np.zeros((0, 2)))),
        dataclasses.replace(many[0], region=dataclasses.replace(many[0].region, box_px=(np.nan, 0.0, 1.0, 2.0))),
    ]  # fmt: skip
    health = Health(HealthState.DEGRADED, tuple(f"reason_number_{i}" for i in range(30)))
    for size in ((720, 1280), (14, 14), (15, 700), (700, 15), (37, 51)):
        view = frame(*size)
        try:
            fitted = fit_to_network(view.image, 224, 392, 14)
        except InputError:  # too narrow for the network: any input of the right shape will do for drawing
            fitted = fit_to_network(frame().image, 224, 392, 14)
        overlay = draw_overlay(view, fitted, np.ones((16, 28), np.float32), record(*many, *odd, health=health), 0.6)
        assert overlay.shape[1] == 1280
        assert overlay.shape[0] % 2 == 0
        assert overlay.shape[0] <= 1282 + HEADER + FOOTER


@pytest.mark.parametrize(
    ("score", "threshold", "message"),
    [
        (np.zeros(5), 0.6, "finite score map"),
        (np.zeros((0, 5)), 0.6, "finite score map"),
        (np.full((16, 28), np.nan), 0.6, "finite score map"),
        (np.zeros((16, 28)), 0.0, "threshold must lie"),
        (np.zeros((16, 28)), 1.0, "threshold must lie"),
        (np.zeros((16, 28)), float("nan"), "threshold must lie"),
    ],
)
def test_refuses(score: np.ndarray, threshold: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        draw(frame(), record(), score, threshold)


def test_one_above_other() -> None:
    before, after = np.full((100, 300, 3), 60, np.uint8), np.full((120, 200, 3), 160, np.uint8)
    still = one_above_other(before, after, ("Before", "After " * 100))
    assert still.shape == (100 + 120 + 2 * 72 + 16, 300 + 2 * 16, 3)
    assert (still[72:172, 16:316] == 60).all()
    assert (still[244:364, 16:216] == 160).all()


def test_type() -> None:
    paper = np.zeros((60, 400, 3), np.uint8)
    end = put_text(paper, "HEH", 10, 30, 24)
    inked_rows = np.flatnonzero(paper.max(axis=(1, 2)) > 127)
    inked_columns = np.flatnonzero(paper.max(axis=(0, 2)) > 127)
    assert abs((inked_rows[0] + inked_rows[-1]) / 2 - 30) <= 1
    assert inked_columns[0] >= 10
    assert abs(inked_columns[-1] - end) <= 6
    assert text_width("", 20) == 0
    short = shortened("a word too long", 80, 20)
    assert short.endswith("…")
    assert text_width(short, 20) <= 80
    assert shortened("ok", 80, 20) == "ok"


def test_smooth_closed() -> None:
    square = np.array([(0, 0), (8, 0), (8, 8), (0, 8)], np.float32)
    smooth = smooth_closed(square, 1)
    assert len(smooth) == 8
    assert {(2.0, 0.0), (6.0, 0.0), (8.0, 2.0)} <= {(float(x), float(y)) for x, y in smooth}
    assert len(smooth_closed(np.zeros((0, 2)))) == 0


def pictures(count: int = 8) -> list[np.ndarray]:
    return [np.full((64, 96, 3), (20 * i, 60, 120), np.uint8) for i in range(count)]


@pytest.mark.parametrize("codec", ["mpeg4", "vp9"])
def test_film_round_trip(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"an older film")
    with VideoWriter(path, fps=5, size=(96, 64), codec=codec) as writer:
        for picture in pictures():
            writer.write(picture)
        assert path.read_bytes() == b"an older film"  # until the new one is whole
    writer.close()
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"]
    frames = list(open_camera(str(path)).frames())
    assert [f.capture_ns for f in frames] == [i * 200_000_000 for i in range(8)]
    assert np.abs(frames[6].image.reshape(-1, 3).mean(axis=0) - (120, 60, 120)).max() < 12


def test_a_failed_run_leaves_no_film(tmp_path: Path) -> None:
    with (  # noqa: PT012  # the writing belongs to the story
        pytest.raises(RuntimeError, match="something else"),
        VideoWriter(tmp_path / "film.mp4", fps=5, size=(96, 64)) as writer,
    ):
        writer.write(pictures()[0])
        raise RuntimeError("something else")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codec": "h264"}, "choose one of: vp9, mpeg4"),
        ({"fps": 0}, "fps must lie"),
        ({"fps": float("nan")}, "fps must lie"),
        ({"size": (95, 64)}, "must be even"),
        ({"size": (0, 64)}, "must be even"),
        ({"path": "film.avi"}, r"must end in \.mp4"),
    ],
)
def test_film_usage(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    values = {"path": "film.mp4", "fps": 5.0, "size": (96, 64), "codec": "mpeg4"} | changes
    with pytest.raises(UsageError, match=message):
        VideoWriter(tmp_path / str(values.pop("path")), **values)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_film_of_wrong_or_no_pictures(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "film.mp4", fps=5, size=(96, 64))
    with pytest.raises(UsageError, match=r"wanted a picture \[64, 96, 3\] uint8, got \[96, 64, 3\]"):
        writer.write(np.zeros((96, 64, 3), np.uint8))
    with pytest.raises(UsageError, match="not one picture"):
        writer.close()
    with pytest.raises(UsageError, match="already closed"):
        writer.write(pictures()[0])
    assert list(tmp_path.iterdir()) == []


def test_film_where_it_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError, match="No such file"):
        VideoWriter(tmp_path / "none" / "film.mp4", fps=5, size=(96, 64))
    with pytest.raises(StorageError, match="encoder could not start"):
        VideoWriter(tmp_path / "film.mp4", fps=5, size=(1 << 20, 1 << 20))
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("airside.video_writer.shutil.disk_usage", lambda _: usage)
    with pytest.raises(StorageError, match="1,000 bytes free"):
        VideoWriter(tmp_path / "film.mp4", fps=5, size=(96, 64))
    assert list(tmp_path.iterdir()) == []


def test_film_on_a_disk_that_fills_up(tmp_path: Path) -> None:
    """OpenCV says nothing when writing fails; the check on closing does."""
    old_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    old_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    noise = np.random.default_rng(0).integers(0, 255, (10, 64, 96, 3), np.uint8)
    try:
        writer = VideoWriter(tmp_path / "film.mp4", fps=5, size=(96, 64))
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, old_limit[1]))
        for picture in noise:
            writer.write(picture)
        with pytest.raises(StorageError, match="disk full"):
            writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old_limit)
        signal.signal(signal.SIGXFSZ, old_handler)
    assert list(tmp_path.iterdir()) == []


def test_film_that_cannot_take_its_name(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").mkdir()
    writer = VideoWriter(tmp_path / "film.mp4", fps=5, size=(96, 64))
    writer.write(pictures()[0])
    with pytest.raises(StorageError, match="Is a directory"):
        writer.close()
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"]


def test_opencv_is_the_one_with_type() -> None:
    assert int(cv2.__version__.split(".")[0]) >= 5  # FontFace in the wheel; older ones draw Hershey strokes


@pytest.mark.parametrize("shape", [(61, 80), (64, 75)])
def test_what_is_laid_over_in_parts_is_what_the_whole_would_be(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    light, rest = np.zeros((*shape, 3), np.uint8), np.full(shape, 255, np.uint8)
    for top, left in ((0, 0), (15, 30), (16, 3), (shape[0] - 5, shape[1] - 4)):  # corners, and both sides of a band
        light[top : top + 5, left : left + 4] = rng.integers(0, 200, light[top : top + 5, left : left + 4].shape)
        rest[top : top + 5, left : left + 4] = rng.integers(0, 255, rest[top : top + 5, left : left + 4].shape)
    picture = rng.integers(0, 255, (4 * shape[0] - 3, 4 * shape[1] - 1, 3)).astype(np.uint8)

    def whole(coarse: np.ndarray) -> np.ndarray:
        full = cv2.resize(coarse, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
        return full[: picture.shape[0], : picture.shape[1]]

    wanted = cv2.add(cv2.multiply(picture, cv2.merge([whole(rest)] * 3), scale=1 / 255), whole(light))
    _lay_over(picture, light, rest)
    np.testing.assert_array_equal(picture, wanted)
