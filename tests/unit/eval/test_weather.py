from __future__ import annotations

import numpy as np
import pytest

from airside.errors import UsageError
from eval.weather import WEATHERS, weathered
from tests.road_data import picture


@pytest.mark.parametrize("name", WEATHERS)
def test_stronger_weather_changes_more(name: str) -> None:
    clean = picture(0)
    change = []
    for strength in (1, 2, 3):
        before = clean.copy()
        spoiled = weathered(clean, name, strength, np.random.default_rng(1))
        assert (spoiled.shape, spoiled.dtype) == (clean.shape, np.uint8)
        np.testing.assert_array_equal(clean, before)
        np.testing.assert_array_equal(spoiled, weathered(clean, name, strength, np.random.default_rng(1)))
        change.append(float(np.abs(spoiled.astype(int) - clean).mean()))
    assert 2 < change[0] < change[1] < change[2]


@pytest.mark.parametrize(
    ("image", "name", "strength"),
    [
        (picture(0), "hail", 1),
        (picture(0), "rain", 0),
        (picture(0)[..., 0], "rain", 1),
        (picture(0).astype(np.float32), "rain", 1),
        (picture(0)[:0], "rain", 1),
    ],
)
def test_wrong_calls_are_refused(image: np.ndarray, name: str, strength: int) -> None:
    with pytest.raises(UsageError):
        weathered(image, name, strength, np.random.default_rng(0))
