"""Metres to cells and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airside.errors import UsageError
from airside.geometry.bev_grid import BevGrid

GRID = BevGrid()


def test_default_is_a_hundred_metres_around_the_vehicle() -> None:
    assert GRID.shape == (200, 200)
    assert GRID.cells == 40_000
    assert GRID.corner_xy_m == (-50.0, -50.0)
    np.testing.assert_allclose(GRID.centres_xy_m()[[0, 199], [0, 199]], [[-49.75, -49.75], [49.75, 49.75]])


@pytest.mark.parametrize(
    ("xy", "cell"),
    [
        ((0.0, 0.0), (100, 100)),
        ((-0.01, 0.01), (99, 100)),
        ((10.3, 0.0), (120, 100)),  # ahead: along the first axis
        ((0.0, 10.3), (100, 120)),  # to the left: along the second
        ((-50.0, -50.0), (0, 0)),
        ((49.99, -50.0), (199, 0)),
        ((50.0, 0.0), (-1, -1)),
        ((0.0, -50.01), (-1, -1)),
        ((math.nan, 0.0), (-1, -1)),
        ((0.0, math.inf), (-1, -1)),
        ((-math.inf, 0.0), (-1, -1)),
    ],
)
def test_known_cells(xy: tuple[float, float], cell: tuple[int, int]) -> None:
    assert tuple(GRID.index_from_xy(np.array(xy))) == cell
    assert GRID.flat_from_xy(np.array(xy)) == (cell[0] * 200 + cell[1] if cell[0] >= 0 else -1)


grids = st.builds(BevGrid, st.integers(1, 50), st.integers(1, 50), st.floats(0.05, 5))


@given(grids)
def test_every_centre_is_in_its_own_cell(grid: BevGrid) -> None:
    centres = grid.centres_xy_m()
    assert centres.shape == (*grid.shape, 2)
    np.testing.assert_array_equal(grid.flat_from_xy(centres).ravel(), np.arange(grid.cells))


@given(grids, st.floats(-0.499, 0.499), st.floats(-0.499, 0.499))
def test_a_point_is_within_half_a_cell_of_its_centre(grid: BevGrid, x_share: float, y_share: float) -> None:
    xy = np.array([x_share * grid.cells_x, y_share * grid.cells_y]) * grid.cell_m
    centre = grid.xy_from_index(grid.index_from_xy(xy))
    assert np.abs(centre - xy).max() <= grid.cell_m * 0.5 + 1e-9


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cells_x": 0}, "cells_x must be a positive whole number, got 0"),
        ({"cells_y": -3}, "cells_y must be a positive whole number, got -3"),
        ({"cells_x": 20.0}, "cells_x must be a positive whole number, got 20.0"),
        ({"cell_m": 0.0}, "cell_m must be positive and finite, got 0"),
        ({"cell_m": math.nan}, "cell_m must be positive and finite, got nan"),
    ],
)
def test_refuses_an_impossible_grid(changed: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BevGrid(**changed)


def test_refuses_wrong_shapes() -> None:
    with pytest.raises(UsageError, match=r"points \[..., 2\], got \[3\]"):
        GRID.index_from_xy(np.zeros(3))
    with pytest.raises(UsageError, match=r"cells \[..., 2\], got \[4, 1\]"):
        GRID.xy_from_index(np.zeros((4, 1)))
