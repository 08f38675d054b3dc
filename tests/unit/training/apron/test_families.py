"""Every family draws plausible assets that stand on the ground, the same ones from the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from training.apron.families import AIRCRAFT, CLUTTER, KNOWN, PROTECTED, SCENERY, UNKNOWN
from training.apron.solids import ATLAS_PX, Asset, Mesh

FAMILIES = KNOWN | UNKNOWN | CLUTTER | SCENERY
SEEDS = (0, 1, 2)

# length, width and height, each (low, high) in metres
SIZE_M = {
    "baggage_tractor": ((2.3, 4.7), (1.2, 2.4), (1.3, 2.7)),
    "pushback_tug": ((4.2, 12), (2.0, 4.9), (1.2, 2.8)),
    "dolly_train": ((4.2, 21), (1.2, 5.1), (0.47, 2.9)),
    "ground_power_unit": ((2.7, 6.5), (1.3, 2.7), (1.2, 3.0)),
    "belt_loader": ((5.2, 12), (1.4, 2.9), (1.4, 5.1)),
    "cargo_loader": ((5.9, 13), (2.6, 5.7), (2.1, 7.3)),
    "passenger_stairs": ((4.0, 12), (1.8, 3.5), (2.6, 7.9)),
    "catering_truck": ((5.3, 12), (2.0, 4.0), (2.5, 8.5)),
    "fuel_bowser": ((4.3, 16), (1.8, 4.0), (2.0, 5.7)),
    "lavatory_truck": ((4.2, 9.7), (1.7, 3.5), (1.7, 4.8)),
    "de_icer": ((5.3, 14), (2.1, 9.2), (3.0, 12)),
    "bus": ((8.5, 19), (2.2, 4.5), (2.1, 4.2)),
    "service_van": ((3.3, 7.7), (1.5, 2.9), (1.6, 3.9)),
    "aircraft_small": ((15, 37), (14, 35), (4.4, 11)),
    "aircraft_medium": ((25, 51), (25, 49), (8.8, 17)),
    "aircraft_large": ((45, 90), (43, 86), (12, 24)),
    "person": ((0.24, 1.5), (0.38, 1.2), (1.1, 2.4)),
    "cone": ((0.13, 0.8), (0.13, 0.8), (0.23, 1.3)),
    "chocks": ((0.67, 2.5), (0.4, 1.6), (0.1, 0.31)),
    "jet_bridge": ((19, 45), (3.9, 8.2), (5.7, 13)),
    "baggage_robot": ((1.2, 3.9), (0.65, 1.9), (0.35, 2.1)),
    "scissor_lift": ((1.4, 3.7), (0.67, 1.7), (1.6, 7.9)),
    "loose_container": ((1.4, 4.4), (1.2, 2.1), (0.88, 2.1)),
    "portable_generator": ((0.89, 4.2), (0.54, 2.4), (0.86, 6.9)),
    "hand_cart": ((0.64, 1.8), (0.38, 0.97), (0.67, 2.5)),
    "inspection_robot": ((0.63, 2.1), (0.38, 1.2), (0.49, 2.4)),
    "forklift": ((2.3, 5.2), (0.79, 1.7), (1.7, 3.8)),
    "cable_reel": ((0.49, 3.0), (0.25, 2.6), (0.29, 2.9)),
    "mobile_crane_hoist": ((1.4, 5.0), (0.63, 2.1), (1.3, 4.3)),
    "fallen_suitcase": ((0.33, 2.9), (0.3, 2.6), (0.16, 1.1)),
    "animal": ((0.6, 2.5), (0.15, 0.78), (0.45, 2.7)),
    "drone": ((0.32, 2.3), (0.37, 2.6), (0.14, 0.96)),
    "ladder": ((0.64, 6.8), (0.33, 1.4), (0.06, 4.1)),
    "tow_bar": ((2.9, 8.8), (0.46, 1.3), (0.45, 0.91)),
    "pallet_stack": ((0.91, 1.7), (0.61, 1.2), (0.33, 2.4)),
    "oil_drum": ((0.44, 3.4), (0.44, 2.5), (0.44, 1.3)),
    "fallen_barrier": ((0.88, 5.4), (0.55, 4.0), (0.36, 1.3)),
    "tarpaulin": ((1.3, 6.5), (0.78, 4.5), (0.15, 0.88)),
    "bicycle": ((1.1, 2.3), (0.5, 1.4), (0.41, 1.3)),
    "clutter": ((0.21, 5.3), (0.23, 6.4), (0.14, 5.2)),
    "terminal": ((16, 46), (41, 146), (10, 25)),
    "hangar": ((28, 80), (37, 109), (10, 29)),
    "control_tower": ((8.1, 23), (15, 50), (27, 84)),
    "light_mast": ((1.3, 2.6), (2.2, 7.2), (15, 39)),
    "blast_fence": ((0.6, 6.8), (23, 102), (2.0, 6.5)),
    "tree_row": ((3.8, 17), (26, 122), (8.3, 22)),
    "parked_cars": ((3.9, 7.3), (10, 42), (1.3, 2.6)),
}


def _draw(name: str, seed: int) -> Asset:
    return FAMILIES[name](np.random.default_rng([5, seed]))


def _meshes(asset: Asset) -> list[Mesh]:
    return [asset.body] if asset.lamps is None else [asset.body, asset.lamps]


@pytest.fixture(scope="module")
def drawn() -> dict[str, list[Asset]]:
    return {name: [_draw(name, seed) for seed in SEEDS] for name in FAMILIES}


def test_the_splits_are_large_enough_and_disjoint() -> None:
    assert len(KNOWN) >= 16
    assert len(UNKNOWN) >= 10
    assert len(FAMILIES) == len(KNOWN) + len(UNKNOWN) + len(CLUTTER) + len(SCENERY)
    assert set(KNOWN) >= {*PROTECTED, *AIRCRAFT}
    assert not {make.__module__ for make in KNOWN.values()} & {make.__module__ for make in UNKNOWN.values()}
    assert set(SIZE_M) == set(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_an_asset_is_well_formed(drawn: dict[str, list[Asset]], name: str) -> None:
    for asset in drawn[name]:
        assert asset.family == name
        assert asset.atlas.shape == (ATLAS_PX, ATLAS_PX, 3)
        assert asset.atlas.dtype == np.uint8
        assert 0 <= asset.shininess <= 1
        for mesh in _meshes(asset):
            assert np.isfinite(mesh.vertices).all()
            assert len(mesh.uv) == len(mesh.vertices)
            assert mesh.faces.min() >= 0
            assert mesh.faces.max() < len(mesh.vertices)
            assert mesh.uv.min() >= 0
            assert mesh.uv.max() <= 1


@pytest.mark.parametrize("name", FAMILIES)
def test_an_asset_stands_on_the_ground_around_its_origin(drawn: dict[str, list[Asset]], name: str) -> None:
    for asset in drawn[name]:
        vertices = asset.body.vertices
        assert abs(vertices[:, 2].min()) < (0.05 if asset.family in SCENERY else 0.02)
        middle = (vertices.min(axis=0) + vertices.max(axis=0))[:2] / 2
        assert np.abs(middle).max() < 0.02 + 0.03 * max(asset.size_m)
        if asset.lamps is not None:
            assert asset.lamps.vertices[:, 2].min() > -0.02


@pytest.mark.parametrize("name", FAMILIES)
def test_an_asset_has_a_plausible_size(drawn: dict[str, list[Asset]], name: str) -> None:
    for asset in drawn[name]:
        for size, (low, high) in zip(asset.size_m, SIZE_M[name], strict=True):
            assert low <= size <= high


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_seed_draws_the_same_asset_and_another_another(drawn: dict[str, list[Asset]], name: str) -> None:
    first, other, again = drawn[name][0], drawn[name][1], _draw(name, SEEDS[0])
    np.testing.assert_array_equal(first.body.vertices, again.body.vertices)
    np.testing.assert_array_equal(first.body.faces, again.body.faces)
    np.testing.assert_array_equal(first.atlas, again.atlas)
    assert first.body.vertices.shape != other.body.vertices.shape or (first.body.vertices != other.body.vertices).any()
    assert (first.atlas != other.atlas).any()
