"""A camera's newest frame: looked at once, and only while it is fresh, alive and of the right shape."""

from __future__ import annotations

import numpy as np
import pytest

from airside.camera_watch import Watched, judged, remembered
from airside.config import CameraConfig, MountConfig, SiteConfig
from airside.health import OK
from airside.messages import CameraStatus, Frame, Health, HealthState

SITE = SiteConfig()
MOUNT = CameraConfig("front", 56, 28, 50.0, 50.0, 27.5, 13.5, MountConfig((1, 0, 2)), 60.0)
MS = 1_000_000
RNG = np.random.default_rng(0)


def picture(height: int = 28, width: int = 56) -> np.ndarray:
    return RNG.integers(0, 255, (height, width, 3), np.uint8)


def frame(image: np.ndarray, capture_ms: int, index: int) -> Frame:
    return Frame("front", image, capture_ms * MS, index)


def look(newest: Frame | None, now_ms: int, watched: Watched = Watched()) -> tuple[CameraStatus, Watched]:  # noqa: B008
    return judged("front", newest, watched, now_ms * MS, SITE, (MOUNT.width, MOUNT.height))


@pytest.mark.parametrize(
    ("newest", "now_ms", "reason"),
    [
        (None, 0, "no_frame"),
        (frame(picture(), 0, 0), 351, "stale"),
        (frame(picture(), 500, 0), 399, "clock_ahead"),
        (frame(picture(28, 28), 0, 0), 0, "wrong_size"),
        (frame(np.zeros((28, 56, 3), np.uint8), 0, 0), 0, "black_frame"),
        (frame(np.full((28, 56, 3), 180, np.uint8), 0, 0), 0, "blank_frame"),
    ],
)
def test_what_is_of_no_use_is_blind_and_not_looked_at(newest: Frame | None, now_ms: int, reason: str) -> None:
    status, _ = look(newest, now_ms)
    assert (status.health.state, status.health.reasons, status.observed) == (HealthState.BLIND, (reason,), False)


def test_a_frame_is_looked_at_once_and_good_until_it_is_stale() -> None:
    newest = frame(picture(), 0, 7)
    status, watched = look(newest, 10)
    assert (status.observed, status.health.state, status.capture_ns) == (True, HealthState.OK, 0)
    for now_ms, state in ((210, HealthState.OK), (350, HealthState.OK), (360, HealthState.BLIND)):
        again, watched = look(newest, now_ms, watched)
        assert (again.observed, again.health.state) == (False, state)
    fresh, _ = look(frame(picture(), 400, 8), 410, watched)
    assert fresh.observed  # and recovers by itself


@pytest.mark.parametrize(
    ("newest", "reason"),
    [(frame(np.zeros((28, 56, 3), np.uint8), 0, 7), "black_frame"), (frame(picture(28, 28), 0, 7), "wrong_size")],
)
def test_a_frame_that_was_refused_is_no_better_when_nothing_newer_comes(newest: Frame, reason: str) -> None:
    watched = Watched()
    for now_ms in (0, 200, 340):
        status, watched = look(newest, now_ms, watched)
        assert (status.health.state, status.health.reasons, status.observed) == (HealthState.BLIND, (reason,), False)
    fresh, _ = look(frame(picture(), 400, 8), 410, watched)
    assert (fresh.observed, fresh.health.state) == (True, HealthState.OK)


def test_what_the_look_found_is_remembered_until_the_next_frame() -> None:
    newest = frame(picture(), 0, 7)
    _, watched = look(newest, 0)
    novel = Health(HealthState.DEGRADED, ("novel_scene",))
    again, watched = look(newest, 200, remembered(watched, novel))
    assert (again.health, again.observed) == (novel, False)
    fresh, _ = look(frame(picture(), 300, 8), 310, watched)
    assert fresh.health == OK


def test_a_frozen_camera_is_said_within_a_second() -> None:
    image, watched, states = picture(), Watched(), []
    for k in range(12):
        status, watched = look(frame(image.copy(), k * 200, k), k * 200, watched)
        states.append(status.health.state)
    assert states[:5].count(HealthState.DEGRADED) == 3
    assert (states[-1], status.observed) == (HealthState.BLIND, False)
    status, _ = look(frame(picture(), 2400, 12), 2400, watched)
    assert status.health.state is HealthState.OK


def test_pictures_of_another_scale_are_the_same_camera() -> None:
    assert look(frame(picture(56, 112), 0, 0), 0)[0].observed
