"""Where every patch at every depth lands in the bird's-eye grid: one table, computed from the calibration.

Lift and splat after Philion & Fidler, arXiv 2008.05711, section 3: a patch is lifted to one point per depth bin along
its viewing ray, and each point belongs to the cell it falls in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from airside.errors import UsageError
from airside.geometry.bev_grid import BevGrid
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.transforms import RigidTransform

HEIGHT_RANGE_M = (-5.0, 10.0)  # sky and deep underground teach a bird's-eye view nothing
RAY_FEATURES = 3
RAY_FOCAL_PX, RAY_NEAR_M = 196.0, 4.0  # make the ray features numbers of about 1


@dataclass(frozen=True, slots=True)
class DepthBins:
    """Depth along the optical axis, cut at ``edges_m`` [D + 1]; 41 bins of 1 m from 4 to 45 m by default.

    Raises :class:`UsageError` unless there are two or more positive, finite, strictly increasing edges.
    """

    edges_m: tuple[float, ...] = tuple(float(edge) for edge in range(4, 46))

    def __post_init__(self) -> None:
        edges = np.asarray(self.edges_m, np.float64)
        if edges.ndim != 1 or len(edges) < 2:
            raise UsageError(f"depth bins: wanted two or more edges in metres, got {self.edges_m}")
        if not (np.isfinite(edges).all() and edges[0] > 0):
            raise UsageError(f"depth bins: edges must be positive and finite, got {self.edges_m}")
        if (np.diff(edges) <= 0).any():
            raise UsageError(f"depth bins: edges must increase from bin to bin, got {self.edges_m}")

    @property
    def count(self) -> int:
        """D."""
        return len(self.edges_m) - 1

    @property
    def centres_m(self) -> np.ndarray:
        """[D] float64: the depth at which a bin's mass is lifted."""
        edges = np.asarray(self.edges_m, np.float64)
        return np.asarray((edges[1:] + edges[:-1]) / 2)


@dataclass(frozen=True, slots=True, eq=False)
class NetworkRig:
    """The cameras of a vehicle as the network sees them: pictures of one size, cut in patches of ``patch_px``.

    ``intrinsics`` describe the network's pixels (``PinholeCamera.scaled_to``). Raises :class:`UsageError` when a camera
    has no intrinsics or no pose, sizes differ, or a size is no multiple of the patch.
    """

    intrinsics: Sequence[PinholeCamera]
    ego_from_cam: Sequence[RigidTransform]
    patch_px: int

    def __post_init__(self) -> None:
        if not self.intrinsics:
            raise UsageError("this rig has no intrinsics: a bird's-eye view needs fx, fy, cx, cy of every camera")
        if len(self.intrinsics) != len(self.ego_from_cam):
            raise UsageError(f"this rig has {len(self.intrinsics)} intrinsics but {len(self.ego_from_cam)} poses")
        for number, (camera, pose) in enumerate(zip(self.intrinsics, self.ego_from_cam, strict=True)):
            for value, kind, what in ((camera, PinholeCamera, "intrinsics"), (pose, RigidTransform, "ego_from_cam")):
                if not isinstance(value, kind):
                    raise UsageError(f"camera {number} has no {what} (got {value!r}): calibrate it and add them")
        sizes = {(camera.height, camera.width) for camera in self.intrinsics}
        if len(sizes) > 1:
            raise UsageError(f"the network takes pictures of one size, this rig has {sorted(sizes)}: see scaled_to")
        if self.patch_px <= 0 or any(side % self.patch_px for side in self.size_px):
            raise UsageError(
                f"the picture's size must be a multiple of the patch, {self.patch_px} px, got {self.size_px[0]} x "
                f"{self.size_px[1]} (height x width)"
            )
        object.__setattr__(self, "intrinsics", tuple(self.intrinsics))
        object.__setattr__(self, "ego_from_cam", tuple(self.ego_from_cam))

    @property
    def cameras(self) -> int:
        """N."""
        return len(self.intrinsics)

    @property
    def size_px(self) -> tuple[int, int]:
        """(H, W)."""
        return self.intrinsics[0].height, self.intrinsics[0].width

    @property
    def patch_grid(self) -> tuple[int, int]:
        """(Hp, Wp)."""
        return self.size_px[0] // self.patch_px, self.size_px[1] // self.patch_px

    def patch_centres_uv_px(self) -> np.ndarray:
        """[Hp, Wp, 2] float64; pixel centres at integers, so the first patch's centre is (patch_px - 1) / 2."""
        row, column = np.indices(self.patch_grid)
        return np.asarray((np.stack([column, row], axis=-1) + 0.5) * self.patch_px - 0.5)

    def ray_features(self) -> np.ndarray:
        """[N, Hp, Wp, 3] float32: what the calibration alone tells a depth head of every patch.

        The lens, log(fx / 196 px); where the patch's ray meets level ground, 4 m over its depth along the optical axis,
        in [-1, 1] and negative above the horizon; the ray's rise in metres a metre of depth. Depth cannot be told from
        a picture whose lens is unknown (BEVDepth, arXiv 2206.10092, section 4.2, gives its network the intrinsics).
        """
        uv = self.patch_centres_uv_px()
        features = []
        for camera, pose in zip(self.intrinsics, self.ego_from_cam, strict=True):
            ray = camera.ray_cam_from_uv(uv)
            rise = pose.directions(ray / ray[..., 2:])[..., 2]
            ground = np.clip(-rise * RAY_NEAR_M / max(float(pose.translation_m[2]), 0.1), -1, 1)
            features.append(np.stack([np.full(rise.shape, np.log(camera.fx / RAY_FOCAL_PX)), ground, rise], axis=-1))
        return np.stack(features).astype(np.float32)

    def points_ego_m(self, bins: DepthBins) -> np.ndarray:
        """[N, D, Hp, Wp, 3] float64: every patch centre lifted to the centre of every depth bin, in the ego frame."""
        uv = self.patch_centres_uv_px()
        points = []
        for camera, pose in zip(self.intrinsics, self.ego_from_cam, strict=True):
            ray = camera.ray_cam_from_uv(uv)
            at_one_metre = ray / ray[..., 2:]
            points.append(pose.points(bins.centres_m[:, None, None, None] * at_one_metre))
        return np.stack(points)


@dataclass(frozen=True, slots=True, eq=False)
class SplatTable:
    """Rows (patch, depth bin, cell), sorted by cell, then by patch, then by bin.

    ``patch`` [P] int64 numbers the patches of all cameras, ``(n * Hp + row) * Wp + column``; ``depth_bin`` [P] int64 in
    0..D-1; ``cell`` [P] int64 as :class:`BevGrid` numbers them. All are read-only.
    """

    grid: BevGrid
    bins: DepthBins
    cameras: int
    patch_grid: tuple[int, int]
    patch: np.ndarray
    depth_bin: np.ndarray
    cell: np.ndarray

    def __post_init__(self) -> None:
        for name, limit in (("patch", self.patches), ("depth_bin", self.bins.count), ("cell", self.grid.cells)):
            column = np.array(getattr(self, name), np.int64)
            if column.ndim != 1 or len(column) != len(self.cell):
                raise UsageError(f"splat table: wanted {name} [{len(self.cell)}], got {list(column.shape)}")
            if len(column) and not (column.min() >= 0 and column.max() < limit):
                raise UsageError(f"splat table: {name} must lie in 0..{limit - 1}, got {column.min()}..{column.max()}")
            column.flags.writeable = False
            object.__setattr__(self, name, column)
        if (np.diff(self.cell) < 0).any():
            raise UsageError("splat table: rows must be sorted by cell")

    @property
    def patches(self) -> int:
        """N * Hp * Wp."""
        return self.cameras * self.patch_grid[0] * self.patch_grid[1]

    @property
    def points_per_cell(self) -> np.ndarray:
        """[X * Y] int64."""
        return np.bincount(self.cell, minlength=self.grid.cells)


def build_splat_table(
    rig: NetworkRig, grid: BevGrid, bins: DepthBins, height_range_m: tuple[float, float] = HEIGHT_RANGE_M
) -> SplatTable:
    """The table of ``rig``; points outside the grid, or outside ``height_range_m`` over the ground, are dropped.

    Raises :class:`UsageError` when nothing is left: then no camera sees the grid.
    """
    lowest, highest = height_range_m
    if not lowest < highest:
        raise UsageError(f"height_range_m must run from low to high, got {height_range_m}")
    points = rig.points_ego_m(bins)
    cell = grid.flat_from_xy(points[..., :2])
    camera, depth_bin, row, column = np.nonzero((cell >= 0) & (points[..., 2] >= lowest) & (points[..., 2] < highest))
    if len(camera) == 0:
        raise UsageError(
            f"no patch of this rig sees the BEV grid ({grid.cells_x} x {grid.cells_y} cells of {grid.cell_m:g} m, "
            f"heights {lowest:g} to {highest:g} m, depths {bins.edges_m[0]:g} to {bins.edges_m[-1]:g} m): check "
            "ego_from_cam"
        )
    cell = cell[camera, depth_bin, row, column]
    patch = (camera * rig.patch_grid[0] + row) * rig.patch_grid[1] + column
    order = np.lexsort((depth_bin, patch, cell))
    return SplatTable(grid, bins, rig.cameras, rig.patch_grid, patch[order], depth_bin[order], cell[order])


@dataclass(frozen=True, slots=True)
class VoxelSamples:
    """Rows (patch, voxel, weight), sorted by voxel: where each voxel of the grid looks into the patch maps.

    ``patch`` [P] int64 as in :class:`SplatTable`; ``voxel`` [P] int64 is ``cell * Z + height``; ``weight`` [P] float32
    sums to 1 over a voxel that at least one camera sees.
    """

    patch: np.ndarray
    voxel: np.ndarray
    weight: np.ndarray


def sample_voxels(rig: NetworkRig, grid: BevGrid, heights_m: Sequence[float]) -> VoxelSamples:
    """Cell centres at ``heights_m`` [Z] projected into every camera, bilinear between patches, averaged over cameras.

    After Harley et al., arXiv 2206.07959, section 3. Raises :class:`UsageError` when no camera sees any voxel.
    """
    xy = grid.centres_xy_m().reshape(-1, 1, 2).repeat(len(heights_m), axis=1)
    z = np.broadcast_to(np.asarray(heights_m, np.float64)[:, None], (*xy.shape[:2], 1))
    xyz_ego_m = np.concatenate([xy, z], axis=-1).reshape(-1, 3)
    rows, columns = rig.patch_grid
    voxels, patches, weights = [], [], []
    views = np.zeros(len(xyz_ego_m))
    for number, (camera, pose) in enumerate(zip(rig.intrinsics, rig.ego_from_cam, strict=True)):
        uv = camera.uv_from_xyz_cam(pose.inverse().points(xyz_ego_m))
        seen = np.flatnonzero(camera.in_picture(uv))
        views[seen] += 1
        limits = np.array([columns - 1, rows - 1])
        position = np.clip((uv[seen] + 0.5) / rig.patch_px - 0.5, 0, limits)
        low = np.floor(position).astype(np.int64)
        share = position - low
        for step_u, step_v in ((0, 0), (1, 0), (0, 1), (1, 1)):
            column, row = np.minimum(low + np.array([step_u, step_v]), limits).T
            weight_u, weight_v = np.where((step_u, step_v), share, 1 - share).T
            voxels.append(seen)
            patches.append((number * rows + row) * columns + column)
            weights.append(weight_u * weight_v)
    voxel, patch, weight = np.concatenate(voxels), np.concatenate(patches), np.concatenate(weights)
    if len(voxel) == 0:
        raise UsageError(f"no camera of this rig sees the BEV grid at heights {list(heights_m)} m: check ego_from_cam")
    order = np.lexsort((patch, voxel))
    return VoxelSamples(patch[order], voxel[order], (weight / views[voxel])[order].astype(np.float32))
