"""What a bird's-eye view must show, from the plan of the world: vehicles, drivable area, markings; what is in view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from airside.errors import UsageError
from airside.geometry.bev_grid import BevGrid
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.transforms import RigidTransform
from training.apron.ground import EXTENT_M, TEXTURE_PX, Ground, Surface

_TEXEL_M = EXTENT_M / TEXTURE_PX


@dataclass(frozen=True, slots=True)
class Footprint:
    """A rectangle on the ground of some frame: its centre, the heading of its length, and its sides in metres.

    Raises :class:`UsageError` when a side is not positive or a number is not finite.
    """

    x_m: float
    y_m: float
    yaw_rad: float
    length_m: float
    width_m: float

    def __post_init__(self) -> None:
        numbers = (self.x_m, self.y_m, self.yaw_rad, self.length_m, self.width_m)
        if not (np.isfinite(numbers).all() and self.length_m > 0 and self.width_m > 0):
            raise UsageError(f"a footprint needs finite numbers and sides longer than 0 m, got {numbers}")

    @property
    def axes(self) -> np.ndarray:
        """[2, 2]: rows are the unit vectors of the length and of the width."""
        c, s = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        return np.array([[c, s], [-s, c]])

    def corners_xy_m(self) -> np.ndarray:
        """[4, 2], counter-clockwise."""
        half = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * (self.length_m / 2, self.width_m / 2)
        return np.asarray(half @ self.axes + (self.x_m, self.y_m))

    def contains(self, xy_m: np.ndarray, *, margin_m: float = 0.0) -> np.ndarray:
        """[...] bool: points [..., 2] inside or on the rectangle, grown by ``margin_m`` on every side."""
        off = np.abs((np.asarray(xy_m, np.float64) - (self.x_m, self.y_m)) @ self.axes.T)
        return np.asarray((off <= (self.length_m / 2 + margin_m, self.width_m / 2 + margin_m)).all(axis=-1))

    def gap_m(self, other: Footprint) -> float:
        """A lower bound of the distance to ``other``; negative exactly where the two overlap.

        The widest of the separating directions along the four sides (separating axis theorem).
        """
        mine, theirs = self.corners_xy_m(), other.corners_xy_m()
        directions = np.concatenate([self.axes, other.axes])
        a, b = mine @ directions.T, theirs @ directions.T
        return float(np.maximum(a.min(axis=0) - b.max(axis=0), b.min(axis=0) - a.max(axis=0)).max())

    def seen_from(self, b_from_a: RigidTransform) -> Footprint:
        """This rectangle of frame a in frame b, where the two share their ground plane or nearly so."""
        x, y, _ = b_from_a.points(np.array([self.x_m, self.y_m, 0.0]))
        ahead = b_from_a.directions(np.array([np.cos(self.yaw_rad), np.sin(self.yaw_rad), 0.0]))
        return Footprint(float(x), float(y), float(np.arctan2(ahead[1], ahead[0])), self.length_m, self.width_m)


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """What stays of a simulator world when the assets are taken away: its ground and the scenery's footprints, in the
    world frame."""

    ground: Ground
    obstacles: tuple[Footprint, ...]

    def drivable(self, xy_m: np.ndarray) -> np.ndarray:
        """[...] bool: world points [..., 2] on tarmac or paint, with no scenery standing there."""
        free = self.ground.surface_at(xy_m) != Surface.GRASS
        for obstacle in self.obstacles:
            free &= ~obstacle.contains(xy_m)
        return np.asarray(free)


@dataclass(frozen=True, slots=True, eq=False)
class BevTruth:
    """Layers [X, Y] bool on a grid of the ego frame.

    ``vehicles`` and ``drivable`` hold cells whose centre is covered, ``markings`` cells with any paint in them.
    Vehicles do not take the drivable area under them away. ``visible``: :func:`visible_cells`.
    """

    vehicles: np.ndarray
    drivable: np.ndarray
    markings: np.ndarray
    visible: np.ndarray

    @property
    def layers(self) -> np.ndarray:
        """[3, X, Y] bool in the order of :data:`airside.geometry.bev_grid.LAYERS`."""
        return np.stack([self.vehicles, self.drivable, self.markings])


def footprint_cells(grid: BevGrid, footprints: Iterable[Footprint]) -> np.ndarray:
    """[X, Y] bool: cells whose centre lies in one of ``footprints``, which are in the ego frame."""
    centres = grid.centres_xy_m()
    covered = np.zeros(grid.shape, bool)
    for footprint in footprints:
        covered |= footprint.contains(centres)
    return covered


def visible_cells(
    grid: BevGrid,
    cameras: Sequence[PinholeCamera],
    ego_from_cam: Sequence[RigidTransform],
    max_range_m: Sequence[float],
) -> np.ndarray:
    """[X, Y] bool: cells whose centre on the ground falls into the picture of a camera, hidden or not.

    A cell counts for a camera up to ``max_range_m`` from the ego origin, as ranges do everywhere. Pixels reach half a
    pixel beyond their centres.
    """
    xy = grid.centres_xy_m()
    ground = np.concatenate([xy, np.zeros((*grid.shape, 1))], axis=-1)
    range_m = np.hypot(xy[..., 0], xy[..., 1])
    seen = np.zeros(grid.shape, bool)
    for camera, pose, limit_m in zip(cameras, ego_from_cam, max_range_m, strict=True):
        uv = camera.uv_from_xyz_cam(pose.inverse().points(ground))
        seen |= camera.in_picture(uv) & (range_m <= limit_m)
    return seen


def marking_cells(grid: BevGrid, ground: Ground, world_from_ego: RigidTransform) -> np.ndarray:
    """[X, Y] bool: cells that hold a painted point of the ground's label map, or whose centre is painted."""
    corners = np.array([(sx, sy, 0.0) for sx in (-1, 1) for sy in (-1, 1)]) * (*np.negative(grid.corner_xy_m), 0.0)
    world = world_from_ego.points(corners)[:, :2]
    first_col, first_row = _texel(world[:, 0].min(), world[:, 1].max())
    last_col, last_row = _texel(world[:, 0].max(), world[:, 1].min())
    row, col = np.nonzero(ground.labels[first_row : last_row + 1, first_col : last_col + 1] == Surface.MARKING)
    x = (col + first_col + 0.5) * _TEXEL_M - EXTENT_M / 2
    y = EXTENT_M / 2 - (row + first_row + 0.5) * _TEXEL_M
    painted = world_from_ego.inverse().points(np.stack([x, y, np.zeros(len(x))], axis=-1))[:, :2]
    flat = grid.flat_from_xy(painted)
    cells = ground.surface_at(_world_centres(grid, world_from_ego)).ravel() == Surface.MARKING
    cells[flat[flat >= 0]] = True
    return np.asarray(cells.reshape(grid.shape))


def apron_layers(
    site: Site, vehicles: Iterable[Footprint], world_from_ego: RigidTransform, grid: BevGrid
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``vehicles``, ``drivable`` and ``markings`` [X, Y] bool of :class:`BevTruth`.

    ``vehicles`` are footprints in the world frame; the vehicle that looks stands on the ground at ``world_from_ego``.
    """
    ego_from_world = world_from_ego.inverse()
    centres = _world_centres(grid, world_from_ego)
    markings = marking_cells(grid, site.ground, world_from_ego)
    for obstacle in site.obstacles:
        markings &= ~obstacle.contains(centres)
    return footprint_cells(grid, (v.seen_from(ego_from_world) for v in vehicles)), site.drivable(centres), markings


def _world_centres(grid: BevGrid, world_from_ego: RigidTransform) -> np.ndarray:
    centres = grid.centres_xy_m()
    return world_from_ego.points(np.concatenate([centres, np.zeros((*grid.shape, 1))], axis=-1))[..., :2]


def _texel(x_m: float, y_m: float) -> tuple[int, int]:
    """Column and row of a world point, held within the texture."""
    col, row = (x_m + EXTENT_M / 2) / _TEXEL_M, (EXTENT_M / 2 - y_m) / _TEXEL_M
    return int(np.clip(col, 0, TEXTURE_PX - 1)), int(np.clip(row, 0, TEXTURE_PX - 1))
