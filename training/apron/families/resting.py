"""How a random heap of solids becomes one object that rests on the ground."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training.apron.solids import Asset, Mesh


def stand(asset: Asset, rng: np.random.Generator, upright: bool) -> Asset:
    """Deform a little, let it fall to rest, scale to the drawn size; the lowest point touches the ground."""
    stretch = np.exp(rng.normal(0, 0.25, 3))
    twist, bend = rng.normal(0, 0.25) * (rng.random() < 0.3), rng.normal(0, 0.2) * (rng.random() < 0.3)
    low, high = asset.body.vertices.min(axis=0), asset.body.vertices.max(axis=0)
    span = float((high - low).max())

    def deformed(points: np.ndarray) -> np.ndarray:
        unit = (points - (low + high) / 2) / span
        angle = 2 * twist * unit[:, 2]
        x = unit[:, 0] * np.cos(angle) - unit[:, 1] * np.sin(angle) + 2 * bend * unit[:, 2] ** 2
        y = unit[:, 0] * np.sin(angle) + unit[:, 1] * np.cos(angle)
        return np.asarray(np.stack([x, y, unit[:, 2]], 1) * stretch)

    tilt = np.eye(3) if upright else _turn(rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 1.8))
    shape = deformed(asset.body.vertices)
    if rng.random() < 0.9:
        tilt = _settled(shape, tilt, rng)
    tilt = _turn(0, 0, rng.uniform(0, 2 * np.pi)) @ tilt
    placed = shape @ tilt.T
    extent = np.ptp(placed, axis=0)
    scale = min(np.exp(rng.uniform(np.log(0.4), np.log(5.0))) / extent.max(), 4.0 / extent[2])
    middle = (placed.min(axis=0) + placed.max(axis=0)) / 2
    origin = np.array([middle[0], middle[1], placed[:, 2].min() + rng.uniform(0, 0.0015)])

    def mesh(old: Mesh) -> Mesh:
        points = (deformed(old.vertices) @ tilt.T - origin) * scale
        return Mesh(points.astype(np.float32), old.faces, old.uv)

    return replace(asset, body=mesh(asset.body), lamps=None if asset.lamps is None else mesh(asset.lamps))


def _settled(shape: np.ndarray, tilt: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Roll downhill: turn until no small turn brings the middle of mass nearer to the ground."""
    points = shape - shape.mean(axis=0)
    height = -float((points @ tilt[2]).min())
    for reach in np.repeat((0.4, 0.2, 0.1, 0.05, 0.02), 3):
        turns = [_turn(rng.uniform(0, 2 * np.pi), reach * rng.uniform(0.3, 1)) @ tilt for _ in range(12)]
        heights = -(points @ np.stack([t[2] for t in turns], 1)).min(axis=0)
        best = int(np.argmin(heights))
        if heights[best] < height - 1e-6:
            tilt, height = turns[best], float(heights[best])
    return tilt


def in_one_piece(asset: Asset) -> Asset:
    """Drop whatever hangs in the air unconnected: keep the largest connected group of cells it fills."""
    triangles = asset.body.vertices[asset.body.faces].astype(np.float64)
    low = triangles.min(axis=(0, 1))
    n = 36
    cell = float((triangles.max(axis=(0, 1)) - low).max()) / (n - 3)
    steps = int(np.clip(np.ceil(np.linalg.norm(triangles - np.roll(triangles, 1, axis=1), axis=2).max() / cell), 2, n))
    a, b = np.meshgrid(np.linspace(0, 1, steps), np.linspace(0, 1, steps), indexing="ij")
    inside = a + b <= 1 + 1e-9
    weights = np.stack([a[inside], b[inside], (1 - a - b)[inside]], 1)
    at = ((np.einsum("sk,tkc->tsc", weights, triangles) - low) / cell).astype(int) + 1
    index = (at[..., 0] * n + at[..., 1]) * n + at[..., 2]
    filled = np.zeros(n**3, bool)
    filled[index] = True
    left, best = filled.reshape(n, n, n).copy(), np.zeros((n, n, n), bool)
    while int(left.sum()) > int(best.sum()):
        group = np.zeros_like(left)
        group.reshape(-1)[int(np.argmax(left))] = True
        size = 0
        while size < int(group.sum()):
            size = int(group.sum())
            for axis in range(3):
                group = group | np.roll(group, 1, axis) | np.roll(group, -1, axis)
            group &= left
        left &= ~group
        if size > int(best.sum()):
            best = group
    kept = asset.body.faces[best.reshape(-1)[index].mean(axis=1) > 0.5]
    used, faces = np.unique(kept, return_inverse=True)
    body = Mesh(asset.body.vertices[used], faces.reshape(-1, 3).astype(np.int32), asset.body.uv[used])
    lamps = asset.lamps
    if lamps is not None:
        spots = lamps.vertices.reshape(-1, 24, 3).mean(axis=1)
        near = np.linalg.norm(spots[:, None] - body.vertices[None], axis=2).min(axis=1) < 1.5 * cell
        lamps = lamps if near.all() else None
    return replace(asset, body=body, lamps=lamps)


def _turn(about: float, tilt: float, yaw: float = 0.0) -> np.ndarray:
    """Tilt by ``tilt`` around the ground axis at angle ``about``, then yaw."""
    axis = np.array([np.cos(about), np.sin(about), 0.0])
    k = np.array([[0, 0, axis[1]], [0, 0, -axis[0]], [-axis[1], axis[0], 0]])
    c, s = np.cos(yaw), np.sin(yaw)
    return np.asarray(
        np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ (np.eye(3) + np.sin(tilt) * k + (1 - np.cos(tilt)) * k @ k)
    )
