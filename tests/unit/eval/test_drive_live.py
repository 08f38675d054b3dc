"""What is said of live ticks: how long they took, how old their frames were, which never came."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from airside.config import SiteConfig
from eval.drive.live import _WARM_UP, _films_of, tick_figures
from eval.drive.stored import as_jpeg
from tests.drive_data import stored_drive

MS = 1_000_000


def ticks(took_ms: list[float], age_ms: float = 250.0, skipped_at: int | None = None) -> list[tuple[int, int, int]]:
    done, now_ms = [], 1000.0
    for k, took in enumerate([100.0] * _WARM_UP + took_ms):
        published = now_ms + took
        done.append((round(now_ms * MS), round((published - age_ms) * MS), round(published * MS)))
        now_ms += 400.0 if skipped_at == k - _WARM_UP else 200.0
    return done


def test_late_ticks_are_counted() -> None:
    found = tick_figures(ticks([150.0] * 98 + [250.0] * 2), SiteConfig())
    assert (found["ticks"], found["left_out"]) == (100, 0)
    assert found["within_200ms"] == pytest.approx(0.98)
    assert found["tick_p50_ms"] == pytest.approx(150.0)
    assert found["age_p99_ms"] == pytest.approx(250.0)


def test_a_tick_that_never_came_is_one_that_was_late() -> None:
    found = tick_figures(ticks([150.0] * 50, skipped_at=20), SiteConfig())
    assert found["left_out"] == 1
    assert found["within_200ms"] == pytest.approx(50 / 51)


def test_the_first_ticks_are_left_out_and_too_few_say_nothing() -> None:
    assert tick_figures(ticks([]), SiteConfig())["within_200ms"] is None


def test_a_camera_plays_its_own_pictures_forth_and_back() -> None:
    grey = [as_jpeg(np.full((16, 16, 3), 10 * number, np.uint8)) for number in range(18)]  # three ticks of six cameras
    jpeg = np.frombuffer(b"".join(grey), np.uint8)
    drive = stored_drive(3, jpeg=jpeg, starts=np.cumsum([0, *map(len, grey)]))
    played = [cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR) for picture in _films_of(drive)[1]]
    assert [round(float(picture.mean()) / 10) for picture in played] == [1, 7, 13, 7]
