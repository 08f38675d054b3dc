"""Photographs of a world: colour, exact instance, class and depth per pixel.

Two OpenGL passes a picture (colour with shadows, then segment identifiers with depth); the context, the frame buffers
and the scene list are made once per world.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import mujoco
import numpy as np

from training.apron.conditions import Conditions, light_world
from training.apron.developing import Shot, develop
from training.apron.world import FAR_M, FIRST_SPOT, NEAR_M, SPOTS, SUN, World

GROUND_FIRST = 1  # STUFF[1:4] in the order of ground.Surface
STUFF = ("sky", "tarmac", "marking", "grass", "building", "vegetation")
VEGETATION = ("tree_row",)
ASSET_FIRST = 100  # label of asset slot 0


@dataclass(frozen=True, slots=True)
class View:
    """A pinhole camera: optical centre and viewing direction in the world, and its field of view.

    ``yaw_rad`` 0 looks along +x, positive to the left; ``pitch_rad`` positive looks down; ``roll_rad`` clockwise.
    """

    xyz_m: tuple[float, float, float]
    yaw_rad: float
    pitch_rad: float
    roll_rad: float
    horizontal_fov_rad: float
    height_px: int
    width_px: int

    @property
    def focal_px(self) -> float:
        return float(self.width_px / 2 / np.tan(self.horizontal_fov_rad / 2))

    def world_from_cam(self) -> np.ndarray:
        """[3, 3]: columns are the camera's x (right), y (down), z (forward) axes in the world."""
        cy, sy, cp, sp = np.cos(self.yaw_rad), np.sin(self.yaw_rad), np.cos(self.pitch_rad), np.sin(self.pitch_rad)
        forward = np.array([cy * cp, sy * cp, -sp])
        right = np.array([sy, -cy, 0.0])
        down = np.cross(forward, right)
        cr, sr = np.cos(self.roll_rad), np.sin(self.roll_rad)
        return np.stack([cr * right + sr * down, -sr * right + cr * down, forward], axis=1)

    def rays_world(self) -> np.ndarray:
        """[H, W, 3] directions with unit length along the optical axis, in the world."""
        u = (np.arange(self.width_px) - (self.width_px - 1) / 2) / self.focal_px
        v = (np.arange(self.height_px) - (self.height_px - 1) / 2) / self.focal_px
        cam = np.stack([*np.meshgrid(u, v), np.ones((self.height_px, self.width_px))], axis=-1)
        return np.asarray(cam @ self.world_from_cam().T)


@dataclass(frozen=True, slots=True)
class Placed:
    """An asset of the pool standing in the scene."""

    slot: int
    x_m: float
    y_m: float
    yaw_rad: float
    z_m: float = 0.0


@dataclass(frozen=True, slots=True)
class Picture:
    """``rgb`` [H, W, 3] uint8; ``depth_m`` [H, W] float32 along the optical axis (inf: sky);
    ``label`` [H, W] uint16: an index into :data:`STUFF`, or ``ASSET_FIRST + slot``."""

    rgb: np.ndarray
    depth_m: np.ndarray
    label: np.ndarray


class NoRenderingError(RuntimeError):
    """This machine can not render: no EGL context can be made."""


def open_context(height_px: int, width_px: int) -> Any:
    """A headless OpenGL context of MuJoCo's, current in this thread.

    It is looked for here and not when this module is imported, so that everything but rendering works without EGL.

    Raises:
        NoRenderingError: Debian's ``libegl1`` and ``libgl1`` are missing, or no device answers.
    """
    try:
        from mujoco.rendering.classic import gl_context

        context = gl_context.GLContext(width_px, height_px)
        context.make_current()
    except Exception as error:  # PyOpenGL and MuJoCo raise ImportError, AttributeError, RuntimeError or their own
        raise NoRenderingError(
            "rendering needs Debian's libegl1 and libgl1 (apt-get install libegl1 libgl1); "
            f"EGL says: {type(error).__name__}: {error}"
        ) from error
    return context


class Renderer:
    """Holds one OpenGL context for one world. Use as a context manager."""

    def __init__(self, world: World, height_px: int, width_px: int) -> None:
        self.world = world
        self.height_px, self.width_px = height_px, width_px
        self._data = mujoco.MjData(world.model)
        world.model.vis.global_.offwidth, world.model.vis.global_.offheight = width_px, height_px
        self._gl = open_context(height_px, width_px)
        self._context = mujoco.MjrContext(world.model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._scene = mujoco.MjvScene(world.model, maxgeom=len(world.slot_of_geom) + 16)
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = 0
        self._option = mujoco.MjvOption()
        self._rect = mujoco.MjrRect(0, 0, width_px, height_px)
        self._label_of_geom = np.array([self._label(int(s)) for s in world.slot_of_geom], np.uint16)

    def __enter__(self) -> Renderer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gl.make_current()
        self._context.free()
        self._gl.free()

    def _label(self, slot: int) -> int:
        if slot >= 0:
            return ASSET_FIRST + slot
        if slot == -1:
            return GROUND_FIRST
        vegetation = self.world.scenery[-2 - slot].family in VEGETATION
        return STUFF.index("vegetation" if vegetation else "building")

    def shoot(self, view: View, placed: Sequence[Placed], conditions: Conditions, rng: np.random.Generator) -> Picture:
        """Photograph ``placed`` from ``view``; ``rng`` draws sensor noise and weather particles."""
        self._gl.make_current()  # another renderer may have come since
        self._pose(view, placed)
        light_world(self.world.model, conditions, view.xyz_m, view.yaw_rad, SUN, FIRST_SPOT, SPOTS)
        mujoco.mj_kinematics(self.world.model, self._data)
        mujoco.mj_camlight(self.world.model, self._data)
        mujoco.mjv_updateScene(
            self.world.model, self._data, self._option, None, self._camera, mujoco.mjtCatBit.mjCAT_ALL, self._scene
        )
        rgb = np.empty((self.height_px, self.width_px, 3), np.uint8)
        code = np.empty_like(rgb)
        raw = np.empty((self.height_px, self.width_px), np.float32)
        flags = self._scene.flags
        flags[mujoco.mjtRndFlag.mjRND_SHADOW] = conditions.shadows
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 0
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(rgb, None, self._rect, self._context)
        flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = 1
        mujoco.mjr_render(self._rect, self._scene, self._context)
        mujoco.mjr_readPixels(code, raw, self._rect, self._context)
        depth_m, label, ground_xy_m = self._truth(code[::-1], raw[::-1], view)
        shot = Shot(rgb[::-1], depth_m, ground_xy_m, view.rays_world())
        return Picture(develop(shot, conditions, rng), depth_m, label)

    def _pose(self, view: View, placed: Sequence[Placed]) -> None:
        data, model = self._data, self.world.model
        camera = model.nmocap - 1
        data.mocap_pos[:camera] = (0, 0, -100)
        model.geom_rgba[self.world.body_geoms[self.world.body_geoms >= 0], 3] = 0
        for item in placed:
            data.mocap_pos[item.slot] = (item.x_m, item.y_m, item.z_m)
            data.mocap_quat[item.slot] = (np.cos(item.yaw_rad / 2), 0, 0, np.sin(item.yaw_rad / 2))
            geoms = self.world.body_geoms[item.slot]
            model.geom_rgba[geoms[geoms >= 0], 3] = 1
        axes = view.world_from_cam()
        # MuJoCo's camera looks along its -z with y up.
        rotation = np.stack([axes[:, 0], -axes[:, 1], -axes[:, 2]], axis=1)
        quat = np.empty(4)
        mujoco.mju_mat2Quat(quat, rotation.ravel())
        data.mocap_pos[camera], data.mocap_quat[camera] = view.xyz_m, quat
        model.cam_fovy[0] = np.degrees(2 * np.arctan(self.height_px / 2 / view.focal_px))

    def _truth(self, code: np.ndarray, raw: np.ndarray, view: View) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        geoms = self._scene.geoms[: self._scene.ngeom]
        label_of_segment = np.zeros(max((g.segid for g in geoms), default=0) + 2, np.uint16)
        for g in geoms:
            if g.segid >= 0 and g.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                label_of_segment[g.segid + 1] = self._label_of_geom[g.objid]
        segment = code.astype(np.int32) @ np.array([1, 256, 65536])
        label = label_of_segment[np.minimum(segment, len(label_of_segment) - 1)]
        with np.errstate(divide="ignore"):
            depth = NEAR_M * FAR_M / (NEAR_M + raw.astype(np.float64) * (FAR_M - NEAR_M))
        depth = np.where(segment == 0, np.inf, depth)
        ground = label == GROUND_FIRST
        ground_xy_m = np.full((*label.shape, 2), np.nan, np.float32)
        ground_xy_m[ground] = (view.rays_world()[ground] * depth[ground, None] + np.asarray(view.xyz_m))[:, :2]
        label[ground] = GROUND_FIRST + self.world.ground.surface_at(ground_xy_m[ground])
        return depth.astype(np.float32), label, ground_xy_m
