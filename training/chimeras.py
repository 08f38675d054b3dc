"""Chimeras: slices of known machines in a row, as nothing known is built.

Abstract clutter teaches that what looks like no machine is unknown; a chimera teaches the same of what has wheels, cab,
lamps and livery. None imitates a type of the *unknown* split. Not part of the simulator, whose sources name the kept
frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.apron.families import KNOWN
from training.apron.solids import Asset, Mesh

DONORS = (
    "baggage_tractor", "belt_loader", "bus", "cargo_loader", "catering_truck", "de_icer", "fuel_bowser",
    "ground_power_unit", "lavatory_truck", "passenger_stairs", "pushback_tug", "service_van",
)  # fmt: skip
SHORTEST_M, LONGEST_M, TALLEST_M = 0.9, 7.0, 4.0
TOPPED = 0.6  # share of the chimeras with one more slice on their backs
OVERLAP = 0.02  # of the length, so that slices touch
X, Z = 0, 2


@dataclass(frozen=True, slots=True)
class Soup:
    """Triangles that share nothing: ``corners`` [F, 3, 3], ``uv`` [F, 3, 2]; which are ``lamp`` [F] bool."""

    corners: np.ndarray
    uv: np.ndarray
    lamp: np.ndarray


def chimera(rng: np.random.Generator) -> Asset:
    """Something of the family *clutter*, 0.9 to 7 m long, on the ground under its middle."""
    slices, topped = int(rng.choice([2, 3, 4], p=[0.25, 0.45, 0.3])), rng.random() < TOPPED
    donors = [KNOWN[str(name)](rng) for name in rng.choice(DONORS, slices + topped, replace=False)]
    soups = [_soup(donor, k, len(donors)) for k, donor in enumerate(donors)]
    borders = np.concatenate([[0], np.cumsum(rng.dirichlet(np.full(slices, 4.0)))])
    width, heights = rng.uniform(0.3, 0.7), rng.uniform(0.15, 0.75, slices)
    parts = []
    for soup, low, high, height in zip(soups[:slices], borders[:-1], borders[1:], heights, strict=True):
        thick = rng.uniform(0.25, 0.5)
        begin = rng.uniform(0, 1 - thick) if rng.random() < 0.5 else rng.choice([0, 1 - thick])
        piece = _turned(_slice(soup, X, begin, begin + thick), rng)
        parts.append(_fitted(piece, (low, high + OVERLAP), width * rng.uniform(0.75, 1), (0, height)))
    if topped:
        on = int(rng.integers(slices))
        foot, wide = heights[on] * rng.uniform(0.6, 0.95), width * rng.uniform(0.4, 1)
        middle, half = rng.uniform(borders[on], borders[on + 1]), rng.uniform(0.1, 0.35)
        piece = _turned(_slice(soups[-1], Z, rng.uniform(0.3, 0.6), 1), rng)
        parts.append(_fitted(piece, (middle - half, middle + half), wide, (foot, heights[on] + rng.uniform(0.1, 0.45))))
    whole = Soup(*(np.concatenate([getattr(part, name) for part in parts]) for name in Soup.__slots__))
    long_m = np.exp(rng.uniform(np.log(SHORTEST_M), np.log(LONGEST_M)))
    scale = min(long_m, TALLEST_M / whole.corners[..., Z].max())
    whole = Soup((whole.corners - (0.5, 0, 0)) * scale, whole.uv, whole.lamp)
    return Asset(
        "clutter",
        _mesh(whole, ~whole.lamp),
        _mesh(whole, whole.lamp) if whole.lamp.any() else None,
        np.concatenate([donor.atlas for donor in donors], axis=1),
        float(rng.uniform(0, 0.8)),
    )


def _soup(asset: Asset, place: int, places: int) -> Soup:
    """Its paint is the ``place``-th of so many atlases side by side."""
    meshes = [asset.body] if asset.lamps is None else [asset.body, asset.lamps]
    uv = np.concatenate([mesh.uv[mesh.faces] for mesh in meshes])
    return Soup(
        np.concatenate([mesh.vertices[mesh.faces] for mesh in meshes]).astype(np.float64),
        np.stack([(uv[..., 0] + place) / places, uv[..., 1]], axis=-1),
        np.concatenate([np.full(len(mesh.faces), k == 1) for k, mesh in enumerate(meshes)]),
    )


def _turned(soup: Soup, rng: np.random.Generator) -> Soup:
    """Its front where its rear was, or not."""
    if rng.random() < 0.5:
        return soup
    return Soup((soup.corners * (-1, 1, 1))[:, ::-1], soup.uv[:, ::-1], soup.lamp)


def _slice(soup: Soup, axis: int, low: float, high: float) -> Soup:
    """What lies between these shares of its extent along ``axis``; the rest is pressed onto the cuts, which closes
    them, but for lamps."""
    along = soup.corners[..., axis]
    cuts = along.min() + np.array([low, high]) * np.ptp(along)
    corners = soup.corners.copy()
    corners[..., axis] = np.clip(along, *cuts)
    a, b, c = corners.transpose(1, 0, 2)
    solid = np.linalg.norm(np.cross(b - a, c - a), axis=1) > 1e-8
    outside = np.ptp(corners[..., axis], axis=1) == 0
    outside &= (along.min(axis=1) < cuts[0]) | (along.max(axis=1) > cuts[1])
    kept = solid & ~(soup.lamp & outside)
    return Soup(corners[kept], soup.uv[kept], soup.lamp[kept])


def _fitted(soup: Soup, x: tuple[float, float], width: float, z: tuple[float, float]) -> Soup:
    low, high = soup.corners.min(axis=(0, 1)), soup.corners.max(axis=(0, 1))
    to_low, to_high = np.array([x[0], -width / 2, z[0]]), np.array([x[1], width / 2, z[1]])
    return Soup(to_low + (soup.corners - low) / (high - low) * (to_high - to_low), soup.uv, soup.lamp)


def _mesh(soup: Soup, which: np.ndarray) -> Mesh:
    corners = soup.corners[which].reshape(-1, 3).astype(np.float32)
    uv = soup.uv[which].reshape(-1, 2).astype(np.float32)
    return Mesh(corners, np.arange(len(corners), dtype=np.int32).reshape(-1, 3), uv)
