"""Solids with paint: the small modelling kit every asset family is written in.

A family describes one asset by calling :class:`Builder` verbs (``box``, ``prism``, ``cylinder``, ...). The
result is one triangle mesh with one texture atlas, so an asset costs the renderer a single draw call.

Asset frame: x forward, y left, z up, origin on the ground under the middle of the footprint; metres.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np

ATLAS_PX = 256
CELL_PX = 32
_GRID = ATLAS_PX // CELL_PX

Rgb = tuple[float, float, float]  # each 0..1
Xyz = Sequence[float]


@dataclass(frozen=True, slots=True)
class Swatch:
    """A rectangle of the atlas, in texture coordinates (v grows downwards in the image)."""

    u0: float
    v0: float
    u1: float
    v1: float


@dataclass(frozen=True, slots=True)
class Mesh:
    """Triangles: ``vertices`` [V, 3] m, ``faces`` [F, 3] counter-clockwise from outside, ``uv`` [V, 2]."""

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray


@dataclass(frozen=True, slots=True)
class Asset:
    """One concrete object: geometry, paint, and the lamps that glow at night."""

    family: str
    body: Mesh
    lamps: Mesh | None
    atlas: np.ndarray  # [ATLAS_PX, ATLAS_PX, 3] uint8 RGB
    shininess: float  # 0 matt .. 1 polished

    @property
    def size_m(self) -> tuple[float, float, float]:
        """Length, width and height of the bounding box."""
        extent = self.body.vertices.max(axis=0) - self.body.vertices.min(axis=0)
        return float(extent[0]), float(extent[1]), float(extent[2])


class _MeshBuffer:
    def __init__(self) -> None:
        self.vertices: list[np.ndarray] = []
        self.faces: list[np.ndarray] = []
        self.uv: list[np.ndarray] = []
        self.count = 0

    def add(self, vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray) -> None:
        self.vertices.append(vertices)
        self.faces.append(faces + self.count)
        self.uv.append(uv)
        self.count += len(vertices)

    def mesh(self) -> Mesh | None:
        if not self.vertices:
            return None
        return Mesh(
            np.concatenate(self.vertices).astype(np.float32),
            np.concatenate(self.faces).astype(np.int32),
            np.concatenate(self.uv).astype(np.float32),
        )


class Builder:
    """Collects painted solids and turns them into an :class:`Asset`.

    ``rng`` draws the grain of the paint; families draw their own proportions from the same generator.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self._body = _MeshBuffer()
        self._lamps = _MeshBuffer()
        self._pose = np.eye(4)
        self._atlas = np.full((ATLAS_PX, ATLAS_PX, 3), 128, np.uint8)
        self._taken = np.zeros((_GRID, _GRID), bool)
        self._plain: dict[tuple[float, float, float, float], Swatch] = {}
        self.rubber = self.paint((0.055, 0.055, 0.06), grain=0.35)
        self.steel = self.paint((0.46, 0.47, 0.48), grain=0.22)
        self.glass = self.paint((0.07, 0.10, 0.13), grain=0.5)

    # ---- paint -------------------------------------------------------------------------------------

    def paint(self, rgb: Rgb, grain: float = 0.12) -> Swatch:
        """A plain colour with soft dirt and scratches; the same colour twice is the same swatch."""
        key = (*(round(float(c), 3) for c in rgb), grain)
        if key not in self._plain:
            noise = cv2.resize(self.rng.normal(size=(5, 5)).astype(np.float32), (CELL_PX, CELL_PX))
            noise += 0.4 * self.rng.normal(size=(CELL_PX, CELL_PX)).astype(np.float32)
            shade = np.linspace(0.05, -0.10, CELL_PX, dtype=np.float32)[:, None]  # lower edges are dirtier
            cell = np.asarray(rgb, np.float32) * (1 + shade + grain * 0.5 * noise)[..., None]
            self._plain[key] = self.decal((np.clip(cell, 0, 1) * 255).astype(np.uint8))
        return self._plain[key]

    def decal(self, image: np.ndarray) -> Swatch:
        """Put an RGB uint8 picture (at most 256x256) on the atlas; it is resized to whole 32 px cells."""
        rows = int(np.clip(round(image.shape[0] / CELL_PX), 1, _GRID))
        cols = int(np.clip(round(image.shape[1] / CELL_PX), 1, _GRID))
        for r in range(_GRID - rows + 1):
            for c in range(_GRID - cols + 1):
                if not self._taken[r : r + rows, c : c + cols].any():
                    self._taken[r : r + rows, c : c + cols] = True
                    y, x, h, w = r * CELL_PX, c * CELL_PX, rows * CELL_PX, cols * CELL_PX
                    self._atlas[y : y + h, x : x + w] = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
                    inset = 1.5 / ATLAS_PX
                    return Swatch(
                        x / ATLAS_PX + inset,
                        y / ATLAS_PX + inset,
                        (x + w) / ATLAS_PX - inset,
                        (y + h) / ATLAS_PX - inset,
                    )
        raise ValueError("the atlas is full: this asset uses more than 64 colours and decal cells")

    # ---- pose --------------------------------------------------------------------------------------

    @contextmanager
    def at(
        self,
        x: float = 0.0,
        y: float = 0.0,
        z: float = 0.0,
        yaw: float = 0.0,
        pitch: float = 0.0,
        roll: float = 0.0,
        scale: float = 1.0,
    ) -> Iterator[None]:
        """Solids added inside the ``with`` block are placed at this pose (radians; nests)."""
        saved = self._pose
        pose = np.eye(4)
        pose[:3, :3] = _rotation(yaw, pitch, roll) * scale
        pose[:3, 3] = (x, y, z)
        self._pose = saved @ pose
        try:
            yield
        finally:
            self._pose = saved

    def _emit(self, vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, lamp: bool) -> None:
        placed = np.asarray(vertices, np.float64) @ self._pose[:3, :3].T + self._pose[:3, 3]
        (self._lamps if lamp else self._body).add(placed, np.asarray(faces), np.asarray(uv))

    def _quads(self, corners: np.ndarray, swatches: Sequence[Swatch], lamp: bool) -> None:
        """``corners`` [Q, 4, 3]: lower left, lower right, upper right, upper left, seen from outside."""
        q = len(corners)
        uv = np.array([[(s.u0, s.v1), (s.u1, s.v1), (s.u1, s.v0), (s.u0, s.v0)] for s in swatches])
        base = 4 * np.arange(q)[:, None]
        faces = np.concatenate([base + np.array([0, 1, 2]), base + np.array([0, 2, 3])])
        self._emit(corners.reshape(-1, 3), faces, uv.reshape(-1, 2), lamp)

    # ---- solids ------------------------------------------------------------------------------------

    def box(
        self,
        centre: Xyz,
        size: Xyz,
        paint: Swatch,
        *,
        yaw: float = 0.0,
        pitch: float = 0.0,
        roll: float = 0.0,
        taper: tuple[float, float] = (1.0, 1.0),
        front: Swatch | None = None,
        back: Swatch | None = None,
        sides: Swatch | None = None,
        top: Swatch | None = None,
        lamp: bool = False,
    ) -> None:
        """A box; ``taper`` scales the top face in x and y. ``front`` is +x, ``sides`` are +y and -y."""
        hx, hy, hz = (s / 2 for s in size)
        tx, ty = hx * taper[0], hy * taper[1]
        low = np.array([(hx, hy, -hz), (-hx, hy, -hz), (-hx, -hy, -hz), (hx, -hy, -hz)])
        high = np.array([(tx, ty, hz), (-tx, ty, hz), (-tx, -ty, hz), (tx, -ty, hz)])
        corner = np.concatenate([low, high]) @ _rotation(yaw, pitch, roll).T + np.asarray(centre, float)
        quads = corner[[(3, 0, 4, 7), (1, 2, 6, 5), (0, 1, 5, 4), (2, 3, 7, 6), (6, 7, 4, 5), (1, 0, 3, 2)]]
        swatches = [front or paint, back or paint, sides or paint, sides or paint, top or paint, paint]
        self._quads(quads, swatches, lamp)

    def prism(
        self,
        profile_xz: Sequence[tuple[float, float]],
        y0: float,
        y1: float,
        paint: Swatch,
        *,
        side: Swatch | None = None,
    ) -> None:
        """A side profile (simple polygon in x, z) extruded from ``y0`` to ``y1``; ``side`` paints both caps."""
        xz = np.asarray(profile_xz, float)
        self._extrude(xz, min(y0, y1), max(y0, y1), paint, side or paint, axis=1)

    def slab(
        self,
        outline_xy: Sequence[tuple[float, float]],
        z0: float,
        z1: float,
        paint: Swatch,
        *,
        top: Swatch | None = None,
    ) -> None:
        """A ground outline (simple polygon in x, y) extruded upwards from ``z0`` to ``z1``."""
        xy = np.asarray(outline_xy, float)
        self._extrude(xy, min(z0, z1), max(z0, z1), paint, top or paint, axis=2)

    def _extrude(self, polygon: np.ndarray, low: float, high: float, paint: Swatch, cap: Swatch, axis: int) -> None:
        if _area(polygon) < 0:
            polygon = polygon[::-1]
        n = len(polygon)
        near, far = (np.insert(polygon, axis, value, axis=1) for value in (low, high))
        # In (x, z) the counter-clockwise side looks along -y; in (x, y) it looks along +z.
        a, b = (far, near) if axis == 1 else (near, far)
        nxt = np.roll(np.arange(n), -1)
        self._quads(np.stack([a[np.arange(n)], a[nxt], b[nxt], b[np.arange(n)]], axis=1), [paint] * n, False)
        span = np.maximum(np.ptp(polygon, axis=0), 1e-9)
        unit = (polygon - polygon.min(axis=0)) / span
        uv = np.stack([cap.u0 + unit[:, 0] * (cap.u1 - cap.u0), cap.v1 - unit[:, 1] * (cap.v1 - cap.v0)], axis=1)
        triangles = _triangulate(polygon)
        self._emit(b, triangles, uv, False)
        self._emit(a, triangles[:, ::-1], uv, False)

    def cylinder(
        self,
        p0: Xyz,
        p1: Xyz,
        r0: float,
        paint: Swatch,
        *,
        r1: float | None = None,
        sides: int = 12,
        caps: Swatch | None = None,
        lamp: bool = False,
    ) -> None:
        """A capped cylinder (or cone frustum) from ``p0`` (radius ``r0``) to ``p1`` (radius ``r1``)."""
        a, b = np.asarray(p0, float), np.asarray(p1, float)
        r1 = r0 if r1 is None else r1
        e0, e1 = _across(b - a)
        angle = np.linspace(0, 2 * np.pi, sides + 1)
        ring = np.cos(angle)[:, None] * e0 + np.sin(angle)[:, None] * e1
        u = np.linspace(paint.u0, paint.u1, sides + 1)
        vertices = np.concatenate([a + r0 * ring, b + r1 * ring])
        uv = np.concatenate([np.stack([u, np.full_like(u, paint.v1)], 1), np.stack([u, np.full_like(u, paint.v0)], 1)])
        i = np.arange(sides)
        faces = np.concatenate([np.stack([i, i + 1, i + sides + 2], 1), np.stack([i, i + sides + 2, i + sides + 1], 1)])
        self._emit(vertices, faces, uv, lamp)
        cap = caps or paint
        middle = np.array([(cap.u0 + cap.u1) / 2, (cap.v0 + cap.v1) / 2])
        half = np.array([(cap.u1 - cap.u0) / 2, (cap.v1 - cap.v0) / 2])
        disc_uv = np.concatenate([[middle], middle + half * np.stack([np.cos(angle), np.sin(angle)], 1)])
        fan = np.stack([np.zeros(sides, int), i + 1, i + 2], 1)
        for centre, radius, tri in ((a, r0, fan[:, ::-1]), (b, r1, fan)):
            if radius > 1e-4:
                self._emit(np.concatenate([[centre], centre + radius * ring]), tri, disc_uv, lamp)

    def ellipsoid(self, centre: Xyz, radii: Xyz, paint: Swatch, *, pitch: float = 0.0, lamp: bool = False) -> None:
        lat = np.linspace(-np.pi / 2, np.pi / 2, 8)
        lon = np.linspace(0, 2 * np.pi, 13)
        la, lo = np.meshgrid(lat, lon, indexing="ij")
        unit = np.stack([np.cos(la) * np.cos(lo), np.cos(la) * np.sin(lo), np.sin(la)], -1)
        grid = (unit * np.asarray(radii, float)) @ _rotation(0, pitch, 0).T + np.asarray(centre, float)
        self._grid(grid, paint, lamp)

    def loft(self, rings: np.ndarray, paint: Swatch) -> None:
        """A smooth skin through ``rings`` [R, K, 3]: along +x, each ring counter-clockwise seen from +x, starting
        at its lowest point. The swatch's u runs along the rings, its v around (bottom, left, top, right, bottom)."""
        closed = np.concatenate([rings, rings[:, :1]], axis=1)
        self._grid(closed, paint, False, around_v=True)
        for ring, flip in ((rings[0], True), (rings[-1], False)):
            if np.ptp(ring, axis=0).max() > 1e-3:
                k = len(ring)
                i = np.arange(k)
                tri = np.stack([np.full(k, k), i, (i + 1) % k], 1)
                uv = np.tile([(paint.u0 if flip else paint.u1), (paint.v0 + paint.v1) / 2], (k + 1, 1))
                self._emit(np.concatenate([ring, [ring.mean(axis=0)]]), tri[:, ::-1] if flip else tri, uv, False)

    def _grid(self, grid: np.ndarray, paint: Swatch, lamp: bool, around_v: bool = False) -> None:
        r, k = grid.shape[:2]
        s, t = np.meshgrid(np.linspace(0, 1, r), np.linspace(0, 1, k), indexing="ij")
        along, around = (s, t) if around_v else (t, 1 - s)
        uv = np.stack([paint.u0 + along * (paint.u1 - paint.u0), paint.v0 + around * (paint.v1 - paint.v0)], -1)
        i, j = (g.ravel() for g in np.meshgrid(np.arange(r - 1), np.arange(k - 1), indexing="ij"))
        a, b, c, d = i * k + j, i * k + j + 1, (i + 1) * k + j + 1, (i + 1) * k + j
        faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
        self._emit(grid.reshape(-1, 3), faces, uv.reshape(-1, 2), lamp)

    # ---- parts that everything on an apron has -----------------------------------------------------

    def wheel(self, centre: Xyz, radius: float, width: float, hub: Swatch | None = None) -> None:
        """A tyre with a hub; its axle lies along y."""
        x, y, z = centre
        self.cylinder((x, y - width / 2, z), (x, y + width / 2, z), radius, self.rubber, sides=14)
        self.cylinder((x, y - width * 0.53, z), (x, y + width * 0.53, z), radius * 0.55, hub or self.steel, sides=10)

    def axle(self, x: float, track: float, radius: float, width: float, hub: Swatch | None = None) -> None:
        """Two wheels at ``x``, ``track`` apart, standing on the ground."""
        for y in (-track / 2, track / 2):
            self.wheel((x, y, radius), radius, width, hub)

    def tube(self, points: Sequence[Xyz], radius: float, paint: Swatch, *, sides: int = 6) -> None:
        """A bent pipe through ``points``: rails, hoses, frames."""
        for p0, p1 in itertools.pairwise(points):
            self.cylinder(p0, p1, radius, paint, sides=sides)

    def railing(self, points: Sequence[Xyz], height: float, paint: Swatch, radius: float = 0.025) -> None:
        """Posts, a mid rail and a hand rail along ``points`` (foot positions)."""
        for level in (height, height * 0.55):
            self.tube([(x, y, z + level) for x, y, z in points], radius, paint, sides=5)
        for x, y, z in points:
            self.cylinder((x, y, z), (x, y, z + height), radius, paint, sides=5)

    def lamp(self, centre: Xyz, size: Xyz, rgb: Rgb) -> None:
        """A small light that glows by itself (head lamp, tail lamp, marker)."""
        self.box(centre, size, self.paint(rgb, grain=0.0), lamp=True)

    def beacon(self, centre: Xyz, radius: float = 0.09) -> None:
        """An amber rotating beacon."""
        x, y, z = centre
        amber = self.paint((1.0, 0.62, 0.05), grain=0.0)
        self.cylinder((x, y, z), (x, y, z + radius * 1.6), radius, amber, r1=radius * 0.8, sides=8, lamp=True)

    def head_and_tail_lamps(self, front_x: float, back_x: float, half_width: float, z: float) -> None:
        for side in (-1, 1):
            self.lamp((front_x, side * half_width, z), (0.06, 0.22, 0.14), (1.0, 0.97, 0.85))
            self.lamp((back_x, side * half_width, z), (0.05, 0.16, 0.12), (0.85, 0.06, 0.04))

    # ---- result ------------------------------------------------------------------------------------

    def asset(self, family: str, shininess: float = 0.3) -> Asset:
        """The finished asset: footprint centred on the origin, lowest point as modelled."""
        body = self._body.mesh()
        if body is None:
            raise ValueError(f"family {family!r} built no solid")
        lamps = self._lamps.mesh()
        low, high = body.vertices.min(axis=0), body.vertices.max(axis=0)
        shift = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, 0], np.float32)
        body = Mesh(body.vertices - shift, body.faces, body.uv)
        if lamps is not None:
            lamps = Mesh(lamps.vertices - shift, lamps.faces, lamps.uv)
        return Asset(family, body, lamps, self._atlas, shininess)


def circle(
    x: float, radius_y: float, radius_z: float, centre_z: float, k: int = 20, centre_y: float = 0.0
) -> np.ndarray:
    """One loft ring [k, 3] at ``x``, starting at the lowest point, counter-clockwise seen from +x."""
    angle = np.linspace(0, 2 * np.pi, k, endpoint=False)
    return np.stack([np.full(k, x), centre_y + radius_y * np.sin(angle), centre_z - radius_z * np.cos(angle)], axis=1)


def _rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    rz = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    ry = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    rx = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    return np.asarray(rz @ ry @ rx)


def _across(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors across ``direction``, right-handed with it."""
    d = direction / max(float(np.linalg.norm(direction)), 1e-12)
    helper = np.array([0.0, 0.0, 1.0]) if abs(d[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    e0 = np.cross(helper, d)
    e0 /= np.linalg.norm(e0)
    return e0, np.cross(d, e0)


def _area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return float(0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def _triangulate(polygon: np.ndarray) -> np.ndarray:
    """Ear clipping of a simple counter-clockwise polygon [n, 2] into [n - 2, 3] vertex indices."""
    left = list(range(len(polygon)))
    triangles = []
    while len(left) > 3:
        for k in range(len(left)):
            i, j, m = left[k - 1], left[k], left[(k + 1) % len(left)]
            a, b, c = polygon[i], polygon[j], polygon[m]
            others = polygon[[v for v in left if v not in (i, j, m)]]
            if _cross(b - a, c - b) > 0 and not _inside(others, a, b, c).any():
                triangles.append((i, j, m))
                left.pop(k)
                break
        else:
            raise ValueError("the profile crosses itself: give its corners in order around the outline")
    triangles.append((left[0], left[1], left[2]))
    return np.array(triangles)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _inside(points: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return np.asarray(
        (_cross(b - a, points - a) >= 0) & (_cross(c - b, points - b) >= 0) & (_cross(a - c, points - c) >= 0)
    )
