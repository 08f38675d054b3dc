"""Free, occupied, not observed: what nobody saw, or what lies behind something, is never free."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from airside.fusion.bev_layers import BevLayers
from airside.fusion.occupancy import occupancy
from airside.geometry.bev_grid import BevGrid
from airside.geometry.lift_map import depth_probability_from_metric, lift_map, reach_map
from airside.messages import Kind
from tests.builders import tiny_view
from tests.records import track

GRID = BevGrid(20, 10, 1.0)


def layers(**changes: np.ndarray) -> BevLayers:
    empty = np.zeros(GRID.shape, np.float32)
    plain = BevLayers(GRID, ("vehicles", "drivable"), np.stack([empty, empty + 1]), empty, empty + 1)
    return replace(plain, **changes)


def test_seen_and_familiar_is_free() -> None:
    made = occupancy(layers(), ())
    assert (made.cells == 0).all()
    assert (made.cell_m, made.corner_xy_m, made.cells.dtype) == (1.0, (-10.0, -5.0), np.int8)


def test_nothing_seen_is_never_free() -> None:
    unknown, reach = np.zeros(GRID.shape, np.float32), np.ones(GRID.shape, np.float32)
    unknown[3, 4], reach[5, 6] = np.nan, 0.49
    cells = occupancy(layers(unknown=unknown, reach=reach), ()).cells
    assert (cells[3, 4], cells[5, 6], np.count_nonzero(cells)) == (-1, -1, 2)


def test_novelty_and_vehicles_occupy() -> None:
    unknown, vehicles = np.zeros(GRID.shape, np.float32), np.zeros(GRID.shape, np.float32)
    unknown[1, 1], vehicles[2, 2] = 0.73, 0.4
    cells = occupancy(layers(unknown=unknown, layers=np.stack([vehicles, vehicles])), ()).cells
    assert (cells[1, 1], cells[2, 2], np.count_nonzero(cells)) == (73, 40, 2)


def test_an_unknown_object_occupies_where_it_stands() -> None:
    square = ((2.1, 0.1), (2.1, 1.9), (4.9, 1.9), (4.9, 0.1))
    unseen = np.full(GRID.shape, np.nan, np.float32)
    cells = occupancy(layers(unknown=unseen), (track(footprint_xy_m=square),)).cells
    ix, iy = GRID.index_from_xy(np.array([3.5, 1.0]))
    assert cells[ix, iy] == 100
    assert 4 <= np.count_nonzero(cells == 100) <= 8
    known = occupancy(layers(unknown=unseen), (track(footprint_xy_m=square, kind=Kind.KNOWN),)).cells
    assert (known == -1).all()


def test_behind_a_thing_nothing_is_reached() -> None:
    view = tiny_view(1)
    table, centres = view.table, view.table.bins.centres_m
    depth = np.full((1, *table.patch_grid), centres[1], np.float32)
    reach = reach_map(depth_probability_from_metric(depth, table.patch_grid, table.bins), table)
    wall = table.depth_bin <= 1
    before = np.unique(table.cell[wall])
    behind = np.setdiff1d(np.unique(table.cell[~wall]), before)
    assert len(before) > 0 < len(behind)
    assert (reach.ravel()[before] > 0.99).all()
    assert (reach.ravel()[behind] < 0.01).all()
    nothing = np.setdiff1d(np.arange(table.grid.cells), table.cell)
    assert (reach.ravel()[nothing] == 0).all()
    assert np.isnan(
        lift_map(np.zeros((1, *table.patch_grid)), np.zeros((1, table.bins.count, *table.patch_grid)), table)
    ).all()
