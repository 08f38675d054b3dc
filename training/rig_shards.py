"""Frames of a simulated rig as a shard for ``training.multitask`` and ``training.mini``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from airside.config import RigConfig
from airside.geometry.bev_grid import LAYERS, BevGrid
from training.apron.renderer import STUFF
from training.apron.scenes import PATCH_PX
from training.apron.solids import Asset
from training.corruptions import corrupt_some
from training.multitask.shards import Shard
from training.patch_labels import patch_labels
from training.rig_frames import RigFrames

DEPTH_STRIDE = 2
MOUNT_SPREAD_M = (0.2, 0.2, 0.25)  # how far calibrations of one kind of vehicle lie apart, and then some
ANGLE_SPREAD_DEG = (4.0, 2.0, 0.7)  # yaw, pitch, roll
LENS_SPREAD = 0.07


def shard_from_frames(
    frames: Sequence[RigFrames], assets: Sequence[Asset], grid: BevGrid, corrupted: float, rng: np.random.Generator
) -> Shard:
    """One sample per frame, all of rigs with as many cameras. ``assets``: of the world, by slot; the share
    ``corrupted`` of the pictures is stored as ``training.corruptions`` leaves it."""
    rgb, asset, purity, bev, visible = [], [], [], [], []
    for frame in frames:
        rgb.append(corrupt_some(frame.rgb, corrupted, rng, list(frame.depth_m)))
        dense = np.where(frame.instance >= 0, len(STUFF) + frame.instance, frame.label)
        labels = [patch_labels(one, len(STUFF) + len(assets), PATCH_PX) for one in dense]
        asset.append(np.stack([majority for majority, _ in labels]))
        purity.append(np.stack([np.round(share * 255) for _, share in labels]))
        truth = frame.bev_truth(grid)
        bev.append(truth.layers)
        visible.append(truth.visible)
    cameras = [frame.rig.cameras for frame in frames]
    lenses = [[camera.pinhole for camera in rig] for rig in cameras]
    return Shard(
        rgb=np.stack(rgb),
        depth_m=np.stack([f.depth_m[:, ::DEPTH_STRIDE, ::DEPTH_STRIDE] for f in frames]).astype(np.float16),
        asset=np.stack(asset).astype(np.int16),
        purity=np.stack(purity).astype(np.uint8),
        bev=np.stack(bev).astype(np.uint8),
        visible=np.stack(visible),
        intrinsics=np.array([[(c.fx, c.fy, c.cx, c.cy) for c in rig] for rig in lenses], np.float64),
        ego_from_cam=np.array([[c.ego_from_cam.transform.matrix for c in rig] for rig in cameras], np.float64),
        families=np.array([*STUFF, *(a.family for a in assets)]),
        stuff=np.array(len(STUFF), np.int64),
        layers=np.array(LAYERS),
        cell_m=np.array(grid.cell_m, np.float64),
    )


def another_vehicle(rig: RigConfig, rng: np.random.Generator) -> RigConfig:
    """``rig`` as it might be mounted on another vehicle: places, angles and lenses drawn around its own."""
    cameras = []
    for camera in rig.cameras:
        mount = camera.ego_from_cam
        x, y, z = (float(at + rng.uniform(-s, s)) for at, s in zip(mount.xyz_m, MOUNT_SPREAD_M, strict=True))
        yaw, pitch, roll = (
            float(angle + rng.uniform(-s, s))
            for angle, s in zip((mount.yaw_deg, mount.pitch_deg, mount.roll_deg), ANGLE_SPREAD_DEG, strict=True)
        )
        focal = camera.fx * float(np.exp(rng.uniform(-LENS_SPREAD, LENS_SPREAD)))
        moved = replace(mount, xyz_m=(x, y, z), yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll)
        cameras.append(replace(camera, fx=focal, fy=focal, ego_from_cam=moved))
    return RigConfig(tuple(cameras))
