"""Health: pictures that show nothing, scenes that are new, engines that give no numbers."""

from __future__ import annotations

import numpy as np
import pytest

from airside.health import OK, frozen_count, frozen_health, picture_health, scene_health, worst
from airside.messages import Health, HealthState

B, D = HealthState.BLIND, HealthState.DEGRADED
rng = np.random.default_rng(0)


def noise(low: int, high: int) -> np.ndarray:
    return rng.integers(low, high + 1, (224, 392, 3), np.uint8)


def lamps() -> np.ndarray:
    """Night: black but for a few bright places."""
    image = noise(0, 12)
    image[40:64, 60:140] = 220
    return image


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        (noise(0, 255), OK),
        (lamps(), OK),
        (np.zeros((224, 392, 3), np.uint8), Health(B, ("black_frame",))),
        (noise(0, 9), Health(B, ("black_frame",))),
        (np.full((224, 392, 3), 255, np.uint8), Health(B, ("blank_frame",))),
        (np.full((14, 14, 3), 90, np.uint8), Health(B, ("blank_frame",))),
        (noise(0, 40), Health(D, ("dark_frame",))),
        (noise(120, 132), Health(D, ("low_contrast",))),
    ],
)
def test_picture_health(image: np.ndarray, wanted: Health) -> None:
    assert picture_health(image) == wanted


def test_frozen() -> None:
    image, other = noise(0, 255), noise(0, 255)
    assert frozen_count(image, None, 0) == 1
    assert frozen_count(image, image.copy(), 1) == 2
    assert frozen_count(image, other, 7) == 1
    assert frozen_count(image, other[:100], 7) == 1
    one_pixel = image.copy()
    one_pixel[3, 3, 0] ^= 1
    assert frozen_count(image, one_pixel, 7) == 1
    states = [frozen_health(count).state for count in (1, 2, 3, 9, 10, 500)]
    assert states == [HealthState.OK, HealthState.OK, D, D, B, B]
    assert frozen_health(3).reasons == ("frozen_frame",)


def test_scene_health() -> None:
    score = np.zeros((16, 28), np.float32)
    seen = np.ones((16, 28), bool)
    assert scene_health(score, seen, 0.5, 0.5) == OK
    score[:8] = 0.9
    assert scene_health(score, seen, 0.5, 0.5) == OK  # one half exactly is not more than half
    score[8, 0] = 0.9
    assert scene_health(score, seen, 0.5, 0.5) == Health(D, ("novel_scene",))
    assert scene_health(score, seen, 0.9, 0.5) == OK  # at the threshold is not above it
    bars = seen.copy()
    bars[:8] = False  # nothing may be concluded from what is not observed
    assert scene_health(score, bars, 0.5, 0.5) == OK
    assert scene_health(score, ~bars, 0.5, 0.5) == Health(D, ("novel_scene",))
    assert scene_health(score, np.zeros_like(seen), 0.5, 0.5) == Health(B, ("nothing_observed",))
    score[9, 9] = np.nan
    assert scene_health(score, seen, 0.5, 0.5) == Health(B, ("score_not_finite",))
    assert scene_health(score, ~bars, 0.5, 0.5).state is D  # the odd number lies where nothing is observed


def test_worst() -> None:
    assert worst() == OK
    assert worst(OK, OK) == OK
    assert worst(Health(D, ("a",)), OK, Health(B, ("b", "a")), Health(D, ("c",))) == Health(B, ("a", "b", "c"))
