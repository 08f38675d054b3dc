"""Chimeras: closed slices, upright bodies, paint from the right atlas, and the same ones from the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from training.apron.families import CLUTTER, KNOWN, PROTECTED
from training.apron.solids import Asset, Builder
from training.chimeras import DONORS, LONGEST_M, TALLEST_M, Soup, X, Z, _slice, _soup, _turned, chimera


def _box_of_sides(length: float, width: float, height: float) -> Asset:
    b = Builder(np.random.default_rng(0))
    b.box((0, 0, height / 2), (length, width, height), b.paint((0.8, 0.2, 0.1)))
    b.lamp((length / 2, 0, height / 2), (0.1, 0.1, 0.1), (1, 1, 1))
    return b.asset("box", 0.3)


def _volume(soup: Soup) -> float:
    """Of what its triangles enclose, counter-clockwise from outside."""
    return float(np.linalg.det(soup.corners[~soup.lamp]).sum() / 6)


@pytest.mark.parametrize("axis", [X, Z])
@pytest.mark.parametrize(("low", "high"), [(0.0, 0.4), (0.25, 0.6), (0.5, 1.0)])
def test_a_slice_is_closed_and_holds_its_share(axis: int, low: float, high: float) -> None:
    soup = _soup(_box_of_sides(4.0, 2.0, 1.5), 0, 1)
    body = Soup(soup.corners[~soup.lamp], soup.uv[~soup.lamp], soup.lamp[~soup.lamp])
    piece = _slice(body, axis, low, high)
    assert _volume(piece) == pytest.approx((high - low) * 12.0)
    assert np.ptp(piece.corners[..., axis]) == pytest.approx((high - low) * (4.0, 2.0, 1.5)[axis])


def test_what_is_turned_keeps_its_outside() -> None:
    soup = _soup(_box_of_sides(4.0, 2.0, 1.5), 0, 1)
    turned = [_turned(soup, np.random.default_rng(seed)) for seed in range(8)]
    assert len({float(t.corners[t.lamp][..., X].mean() > 0) for t in turned}) == 2
    assert all(_volume(t) == pytest.approx(12.0) for t in turned)


def test_a_cut_takes_the_lamps_beyond_it() -> None:
    soup = _soup(_box_of_sides(4.0, 2.0, 1.5), 0, 1)
    assert soup.lamp.any()
    assert _slice(soup, X, 0.5, 1.0).lamp.any()
    assert not _slice(soup, X, 0.0, 0.5).lamp.any()


@pytest.mark.parametrize("seed", range(12))
def test_a_chimera_stands_on_the_ground_painted_by_its_donors(seed: int) -> None:
    asset = chimera(np.random.default_rng(seed))
    length, width, height = asset.size_m
    assert asset.family in CLUTTER
    assert 0.2 < length <= LONGEST_M * 1.3
    assert width <= LONGEST_M
    assert height <= TALLEST_M * 1.001
    assert asset.body.vertices[:, 2].min() == pytest.approx(0, abs=1e-5)
    donors = asset.atlas.shape[1] // asset.atlas.shape[0]
    assert asset.atlas.shape[1] == donors * asset.atlas.shape[0]
    assert donors in (2, 3, 4, 5)
    assert set(np.unique((asset.body.uv[:, 0] * donors).astype(int))) == set(range(donors))
    assert (asset.body.uv >= 0).all()
    assert (asset.body.uv <= 1).all()


def test_the_same_seed_makes_the_same_chimera() -> None:
    one, again, other = (chimera(np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.body.vertices, again.body.vertices)
    assert one.body.vertices.shape != other.body.vertices.shape


def test_donors_are_known_machines() -> None:
    assert set(DONORS) <= set(KNOWN) - {"person", "cone", "chocks", "jet_bridge", "dolly_train"}
    assert not set(DONORS) & {name for name in PROTECTED if name.startswith("aircraft")}
