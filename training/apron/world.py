"""One compiled MuJoCo model: ground, scenery, and a pool of assets that frames place or hide at will.

Compiling costs a second; moving, lighting and photographing the compiled world costs milliseconds. So a world is
built once and serves hundreds of frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from training.apron.families import SCENERY
from training.apron.ground import EXTENT_M, Ground, draw_ground
from training.apron.solids import Asset, Mesh

SUN, FILL, FIRST_SPOT = 0, 1, 2
SPOTS = 5  # four floodlights and the vehicle's own head lamps
NEAR_M, FAR_M = 0.3, 600.0
SHADOW_PX = 2048
SHADOW_CLIP_M = 30.0


@dataclass(frozen=True, slots=True)
class World:
    """``slot_of_geom`` [G]: asset slot of a geom, -1 ground, -2 - k for scenery piece k."""

    model: mujoco.MjModel
    assets: tuple[Asset, ...]
    scenery: tuple[Asset, ...]
    ground: Ground
    slot_of_geom: np.ndarray
    body_geoms: np.ndarray  # [slots, 2] geom id of body and lamps (-1: none)


def build_world(assets: Sequence[Asset], rng: np.random.Generator, *, scenery: bool = True) -> World:
    """Compile ``assets`` into a world with a fresh apron and, unless told not to, scenery drawn from ``rng``."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.stat.extent = 1.0
    spec.stat.center = [0, 0, 0]
    spec.visual.map.znear, spec.visual.map.zfar = NEAR_M, FAR_M
    spec.visual.map.shadowclip = SHADOW_CLIP_M
    spec.visual.quality.shadowsize = SHADOW_PX
    spec.visual.quality.offsamples = 4
    spec.visual.headlight.active = 0
    ground = draw_ground(rng)
    slots: list[int] = []
    _add_ground(spec, ground, slots)
    pieces = _add_scenery(spec, rng, slots) if scenery else ()
    geoms = np.full((len(assets), 2), -1)
    for slot, asset in enumerate(assets):
        body = spec.worldbody.add_body(name=f"asset{slot}", mocap=True, pos=[0, 0, -100])
        geoms[slot] = _add_asset(spec, body, f"asset{slot}", asset, slots, slot)
    _add_lights(spec)
    spec.worldbody.add_body(name="camera", mocap=True).add_camera(name="camera")
    return World(spec.compile(), tuple(assets), pieces, ground, np.array(slots), geoms)


def _add_texture(spec: mujoco.MjSpec, name: str, image: np.ndarray) -> None:
    texture = spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D)
    texture.height, texture.width, texture.nchannel = image.shape[0], image.shape[1], 3
    texture.data = np.ascontiguousarray(image).tobytes()


def _add_material(
    spec: mujoco.MjSpec, name: str, texture: str, *, specular: float, shininess: float, emission: float = 0.0
) -> None:
    material = spec.add_material(name=name, specular=specular, shininess=shininess, emission=emission)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = texture


def _add_mesh(spec: mujoco.MjSpec, name: str, mesh: Mesh) -> None:
    item = spec.add_mesh(name=name, inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL)
    item.uservert = mesh.vertices.ravel().tolist()
    item.userface = mesh.faces.ravel().tolist()
    uv = mesh.uv.copy()
    item.usertexcoord = uv.ravel().tolist()


def _add_asset(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str, asset: Asset, slots: list[int], slot: int
) -> tuple[int, int]:
    _add_texture(spec, name, asset.atlas)
    _add_material(spec, name, name, specular=0.15 + 0.5 * asset.shininess, shininess=asset.shininess)
    _add_mesh(spec, name, asset.body)
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, material=name, contype=0, conaffinity=0)
    slots.append(slot)
    lamps = -1
    if asset.lamps is not None:
        _add_material(spec, f"{name}lamps", name, specular=0.2, shininess=0.5, emission=0.6)
        _add_mesh(spec, f"{name}lamps", asset.lamps)
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_MESH, meshname=f"{name}lamps", material=f"{name}lamps", contype=0, conaffinity=0
        )
        lamps = len(slots)
        slots.append(slot)
    return (lamps if lamps >= 0 else len(slots)) - 1, lamps


def _add_ground(spec: mujoco.MjSpec, ground: Ground, slots: list[int]) -> None:
    half = EXTENT_M / 2
    _add_texture(spec, "ground", ground.texture)
    _add_material(spec, "ground", "ground", specular=0.1, shininess=0.1)
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE, size=[half, half, 1], material="ground", contype=0, conaffinity=0
    )
    noise = np.random.default_rng(0).normal(0, 9, (256, 256, 1))
    _add_texture(spec, "grass", np.clip(np.array([66, 86, 36]) + noise, 0, 255).astype(np.uint8))
    _add_material(spec, "grass", "grass", specular=0.0, shininess=0.0)
    material = spec.material("grass")
    material.texrepeat = [60, 60]
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[600, 600, 1],
        pos=[0, 0, -0.12],
        material="grass",
        contype=0,
        conaffinity=0,
    )
    slots += [-1, -1]


def _add_scenery(spec: mujoco.MjSpec, rng: np.random.Generator, slots: list[int]) -> tuple[Asset, ...]:
    """Terminal along +y, hangars and fences at the sides, trees and cars behind, masts between the stands."""
    plan: list[tuple[str, float, float, float]] = [
        ("terminal", 0.0, 84.0 + rng.uniform(0, 12), -np.pi / 2),
        ("hangar", -138.0 - rng.uniform(0, 25), rng.uniform(-60, 30), 0.0),
        ("hangar", 140.0 + rng.uniform(0, 25), rng.uniform(-70, 30), np.pi),
        ("control_tower", rng.uniform(-80, 80), 130.0, -np.pi / 2),
        ("blast_fence", rng.uniform(-60, 60), -116.0, np.pi / 2),
        ("tree_row", rng.uniform(-60, -10), -150.0, np.pi / 2),
        ("tree_row", rng.uniform(20, 90), -165.0, np.pi / 2),
        ("parked_cars", rng.uniform(-70, 70), -125.0, np.pi / 2),
        *(("light_mast", x, 66.0, -np.pi / 2) for x in (-44.0, 44.0)),
    ]
    pieces = []
    for k, (family, x, y, yaw) in enumerate(plan):
        asset = SCENERY[family](rng)
        body = spec.worldbody.add_body(pos=[x, y, 0], quat=[np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)])
        _add_asset(spec, body, f"scenery{k}", asset, slots, -2 - k)
        pieces.append(asset)
    return tuple(pieces)


def _add_lights(spec: mujoco.MjSpec) -> None:
    spec.worldbody.add_light(
        name="sun", type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, castshadow=True, pos=[0, 0, 60], dir=[0.3, 0.4, -1]
    )
    spec.worldbody.add_light(
        name="fill",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        castshadow=False,
        pos=[0, 0, 60],
        dir=[-0.4, -0.3, -0.6],
    )
    for k in range(SPOTS):
        spec.worldbody.add_light(
            name=f"spot{k}",
            type=mujoco.mjtLightType.mjLIGHT_SPOT,
            castshadow=False,
            pos=[0, 0, 25],
            dir=[0, 0, -1],
            cutoff=60,
            exponent=4,
        )
