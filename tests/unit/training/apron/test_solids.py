"""The modelling kit: every solid is closed, painted from its own swatch, and faces outwards."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from training.apron.solids import Builder, Mesh, _area, _triangulate, circle

L_PROFILE = [(0.0, 0.0), (3.0, 0.0), (3.0, 1.0), (1.0, 1.0), (1.0, 2.0), (0.0, 2.0)]  # area 4
TURN_12 = 0.5 * 12 * np.sin(2 * np.pi / 12)  # area of a regular 12-gon of radius 1
TURN_20 = 0.5 * 20 * np.sin(2 * np.pi / 20)


def _volume(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, k]].astype(np.float64) for k in range(3))
    return float(np.einsum("fk,fk->f", a, np.cross(b, c)).sum() / 6)


def _open_edges(mesh: Mesh) -> int:
    """Directed edges without their opposite, after welding what lies at one place and dropping empty triangles."""
    _, weld = np.unique(np.round(mesh.vertices, 4), axis=0, return_inverse=True)
    faces = weld.ravel()[mesh.faces]
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    edges: dict[tuple[int, int], int] = {}
    for a, b in np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist():
        edges[a, b] = edges.get((a, b), 0) + 1
    return sum(abs(count - edges.get((b, a), 0)) for (a, b), count in edges.items())


def _box(b: Builder) -> None:
    b.box((1, 2, 3), (2, 1, 0.5), b.steel, yaw=0.4, pitch=0.2, roll=-0.7)


def _tapered(b: Builder) -> None:
    b.box((0, 0, 1), (2, 2, 3), b.steel, taper=(0.5, 0.5))


def _ellipsoid_volume(radii: tuple[float, float, float]) -> float:
    """Of the inscribed polyhedron the kit draws: frusta of 12-gons between 8 latitudes."""
    lat = np.linspace(-np.pi / 2, np.pi / 2, 8)
    areas, heights = TURN_12 * np.cos(lat) ** 2, np.diff(np.sin(lat))
    frusta = heights / 3 * (areas[:-1] + areas[1:] + np.sqrt(areas[:-1] * areas[1:]))
    return float(frusta.sum() * np.prod(radii))


SOLIDS: dict[str, tuple[Callable[[Builder], None], float]] = {
    "box": (_box, 1.0),
    "tapered box": (_tapered, 3 / 3 * (4 + 1 + 2)),
    "prism": (lambda b: b.prism(L_PROFILE, -0.5, 1.5, b.steel), 8.0),
    "prism, clockwise and from high to low": (lambda b: b.prism(L_PROFILE[::-1], 1.5, -0.5, b.steel), 8.0),
    "slab": (lambda b: b.slab(L_PROFILE, 0.2, 0.7, b.steel), 2.0),
    "slab, clockwise": (lambda b: b.slab(L_PROFILE[::-1], 0.7, 0.2, b.steel), 2.0),
    "cylinder": (lambda b: b.cylinder((0, 0, 0), (0, 0, 2), 0.5, b.steel), 2 * 0.25 * TURN_12),
    "slanted cylinder": (lambda b: b.cylinder((1, 1, 1), (3, 0, -1), 0.5, b.steel), 3 * 0.25 * TURN_12),
    "frustum": (lambda b: b.cylinder((0, 0, 0), (0, 3, 0), 2, b.steel, r1=1), TURN_12 * (4 + 1 + 2)),
    "cone": (lambda b: b.cylinder((0, 0, 0), (3, 0, 0), 1, b.steel, r1=0.0), TURN_12),
    "ellipsoid": (lambda b: b.ellipsoid((1, 0, 1), (1, 2, 3), b.steel, pitch=0.3), _ellipsoid_volume((1, 2, 3))),
    "loft": (lambda b: b.loft(np.stack([circle(x, 1, 2, 3) for x in (0.0, 1.0, 4.0)]), b.steel), 8 * TURN_20),
    "pointed loft": (
        lambda b: b.loft(np.stack([circle(0.0, 0, 0, 1), circle(3.0, 1, 1, 1), circle(6.0, 0, 0, 1)]), b.steel),
        2 * TURN_20,
    ),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_a_solid_is_closed_outward_and_of_the_right_volume(name: str) -> None:
    draw, volume = SOLIDS[name]
    b = Builder(np.random.default_rng(0))
    draw(b)
    mesh = b.asset("test").body
    assert _open_edges(mesh) == 0
    assert _volume(mesh) == pytest.approx(volume, rel=1e-4)


def test_the_edge_count_notices_a_hole_and_the_volume_a_turned_face() -> None:
    b = Builder(np.random.default_rng(0))
    _box(b)
    mesh = b.asset("test").body
    assert _open_edges(Mesh(mesh.vertices, mesh.faces[1:], mesh.uv)) == 3
    assert _volume(Mesh(mesh.vertices, mesh.faces[:, ::-1], mesh.uv)) == pytest.approx(-1.0, rel=1e-4)


@pytest.mark.parametrize("name", SOLIDS)
def test_a_solid_shows_only_its_swatch(name: str) -> None:
    b = Builder(np.random.default_rng(0))
    SOLIDS[name][0](b)
    uv, s = b.asset("test").body.uv, b.steel
    assert uv[:, 0].min() >= s.u0 - 1e-6
    assert uv[:, 0].max() <= s.u1 + 1e-6
    assert uv[:, 1].min() >= s.v0 - 1e-6
    assert uv[:, 1].max() <= s.v1 + 1e-6


def test_poses_nest_and_end_with_their_block() -> None:
    b = Builder(np.random.default_rng(0))
    with b.at(x=10, yaw=np.pi / 2), b.at(x=2, scale=2.0):
        b.box((1, 0, 0), (1, 1, 1), b.steel)
    b.box((0, 0, 0), (1, 1, 1), b.steel)
    vertices = b._body.mesh().vertices
    np.testing.assert_allclose(vertices[:24].mean(axis=0), (10, 4, 0), atol=1e-5)
    np.testing.assert_allclose(np.ptp(vertices[:24], axis=0), (2, 2, 2), atol=1e-5)
    np.testing.assert_allclose(vertices[24:].mean(axis=0), 0, atol=1e-5)


def test_an_asset_stands_on_its_origin() -> None:
    b = Builder(np.random.default_rng(0))
    b.box((5, -3, 1), (2, 4, 2), b.steel)
    b.lamp((6, -3, 1), (0.1, 0.1, 0.1), (1, 1, 1))
    asset = b.asset("test")
    np.testing.assert_allclose(asset.body.vertices.min(axis=0), (-1, -2, 0), atol=1e-6)
    assert asset.lamps is not None
    np.testing.assert_allclose(asset.lamps.vertices.mean(axis=0), (1, 0, 1), atol=1e-6)
    assert asset.size_m == pytest.approx((2, 4, 2))


@pytest.mark.parametrize("seed", range(8))
def test_ear_clipping_conserves_the_area_of_star_shaped_polygons(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 40))
    angle = np.sort(rng.uniform(0, 2 * np.pi, n) * 0.2 + np.linspace(0, 2 * np.pi * 0.8, n))
    polygon = rng.uniform(0.3, 3.0, n)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1) + rng.normal(0, 5, 2)
    triangles = _triangulate(polygon)
    areas = [_area(polygon[t]) for t in triangles]
    assert len(triangles) == n - 2
    assert min(areas) > 0
    assert sum(areas) == pytest.approx(_area(polygon), rel=1e-9)


@pytest.mark.xfail(strict=True, reason="not noticed; a check would refuse rare pylons of aircraft_large, so mend both")
def test_an_outline_that_crosses_itself_is_refused() -> None:
    b = Builder(np.random.default_rng(0))
    with pytest.raises(ValueError, match="crosses itself"):
        b.slab([(0, 0), (2, 2), (2, 0), (0, 2.5)], 0, 1, b.steel)


def test_an_outline_without_area_is_refused() -> None:
    b = Builder(np.random.default_rng(0))
    with pytest.raises(ValueError, match="crosses itself"):
        b.slab([(0, 0), (1, 0), (2, 0), (3, 0)], 0, 1, b.steel)


def test_a_full_atlas_is_refused() -> None:
    b = Builder(np.random.default_rng(0))
    taken = len(b._plain)
    for k in range(64 - taken):
        b.paint((k / 64, 0.5, 0.5))
    assert b.paint((0.0, 0.5, 0.5)) == b.paint((0.0, 0.5, 0.5))  # an old colour takes no room
    with pytest.raises(ValueError, match="atlas is full"):
        b.paint((0.1234, 0.9, 0.9))


def test_a_decal_arrives_on_the_atlas() -> None:
    b = Builder(np.random.default_rng(0))
    image = np.zeros((64, 96, 3), np.uint8)
    image[..., 0] = 200
    swatch = b.decal(image)
    b.box((0, 0, 0), (1, 1, 1), swatch)
    atlas = b.asset("test").atlas
    v, u = (np.array([swatch.v0, swatch.v1, swatch.u0, swatch.u1]) * len(atlas)).astype(int).reshape(2, 2)
    assert (atlas[v[0] : v[1], u[0] : u[1]] == (200, 0, 0)).all()
    assert (u[1] - u[0], v[1] - v[0]) == (93, 61)  # 3 x 2 cells, less the inset that keeps neighbours out


def test_an_empty_asset_is_refused() -> None:
    with pytest.raises(ValueError, match="built no solid"):
        Builder(np.random.default_rng(0)).asset("nothing")
