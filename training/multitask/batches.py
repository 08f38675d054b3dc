"""The batch of a step: every draw depends on the seed, the step and the slot in the global batch, on nothing else.

So one process that takes all slots and two that take half each see the same batch, and a resumed training sees the
batches of an unbroken one. Axes: B slots taken, N cameras, A assets, L bird's-eye layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from airside.errors import InputError
from airside.geometry.bev_grid import BevGrid
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.splat_table import NetworkRig
from airside.geometry.transforms import RigidTransform
from training.augment import augment_light
from training.corruptions import corrupt_some
from training.multitask.recipe import Augmentation, TokenRecipe
from training.multitask.shards import CLUTTER, Shard, open_shard, shard_paths

_MIRROR_EGO = np.diag([1.0, -1.0, 1.0, 1.0])
_MIRROR_CAM = np.diag([-1.0, 1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True)
class Labels:
    """What the truth of a folder of shards is about; a trained network keeps it."""

    assets: int  # A, stuff first, then the things of each shard in turn
    families: tuple[str, ...]  # F names: stuff, then the known in alphabetical order
    layers: tuple[str, ...]
    cells: tuple[int, int]
    cell_m: float
    image_size: tuple[int, int]
    patch_grid: tuple[int, int]

    @property
    def grid(self) -> BevGrid:
        return BevGrid(*self.cells, self.cell_m)

    @property
    def patch_px(self) -> int:
        return self.image_size[0] // self.patch_grid[0]


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """All shards of a folder, mapped. ``family_of_asset`` [A] int64 into the families; F: clutter."""

    shards: tuple[Shard, ...]
    labels: Labels
    first_thing: tuple[int, ...]  # of each shard, in the numbers of all
    stuff: int
    family_of_asset: np.ndarray

    def __len__(self) -> int:
        return sum(len(shard.rgb) for shard in self.shards)

    def locate(self, sample: int) -> tuple[int, int]:
        """The shard of a sample and its number there."""
        for k, shard in enumerate(self.shards):
            if sample < len(shard.rgb):
                return k, sample
            sample -= len(shard.rgb)
        raise IndexError(sample)

    def rig(self, sample: int) -> NetworkRig:
        """The rig of a sample; the same value for all samples that share one."""
        k, s = self.locate(sample)
        shard = self.shards[k]
        return _rig_of(shard.intrinsics[s], shard.ego_from_cam[s], self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The slots one process takes. Pictures that a camera did not deliver are black and without depth or assets."""

    rgb: Tensor  # [B, N, H, W, 3] uint8
    depth_m: Tensor  # [B, N, H / 2, W / 2] float32; not finite: none
    mirrored: Tensor  # [B] bool: depth lies on odd columns of the picture, else on even ones
    asset: Tensor  # [B, N, Hp, Wp] int64
    family: Tensor  # [B, N, Hp, Wp] int64, F for clutter
    weight: Tensor  # [B, N, Hp, Wp] float32 of the asset and family losses, 0 where not labelled
    asked: Tensor  # [B, N, Hp, Wp] bool: patches the asset loss sees
    bev: Tensor  # [B, L, X, Y] float32
    visible: Tensor  # [B, X, Y] bool
    rigs: tuple[NetworkRig, ...]

    def to(self, device: torch.device) -> Batch:
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "rigs"}
        return replace(self, **{name: tensor.to(device, non_blocking=True) for name, tensor in tensors.items()})


def load_samples(folder: Path) -> Samples:
    """Every shard of ``folder``. Raises :class:`InputError` when they differ in what :class:`Labels` says."""
    shards, owners, first_thing = [], [], []
    alike: dict[str, tuple[object, ...]] = {}
    for path in shard_paths(folder):
        shard = open_shard(path)
        stuff = int(shard.stuff)
        names = [str(name) for name in shard.families]
        alike[path.name] = (shard.rgb.shape[1:], shard.asset.shape[2:], tuple(names[:stuff]), tuple(shard.layers),
                            shard.visible.shape[1:], float(shard.cell_m))  # fmt: skip
        owners += names[stuff if shards else 0 :]
        first_thing.append(len(owners) - len(names) + stuff)
        shards.append(shard)
    first, *others = alike.items()
    for name, came in others:
        if came != first[1]:
            raise InputError(
                f"{folder / name} is unlike {first[0]} in pictures, patches, stuff, layers, cells or their size: "
                f"{came}, wanted {first[1]}; train on shards of one making"
            )
    known = sorted(set(owners[stuff:]) - set(owners[:stuff]) - {CLUTTER})
    families = (*owners[:stuff], *known)
    number = {name: k for k, name in enumerate(families)} | {CLUTTER: len(families)}
    x, y = shard.visible.shape[1:]
    height, width = shard.rgb.shape[2:4]
    hp, wp = shard.asset.shape[2:]
    layers = tuple(str(layer) for layer in shard.layers)
    labels = Labels(len(owners), families, layers, (x, y), float(shard.cell_m), (height, width), (hp, wp))
    return Samples(tuple(shards), labels, tuple(first_thing), stuff, np.array([number[name] for name in owners]))


def draw_batch(
    samples: Samples, tokens: TokenRecipe, augmentation: Augmentation, seed: int, step: int, batch: int, slots: range
) -> Batch:
    """The ``slots`` of the global batch of ``step``; every sample is seen once an epoch."""
    drawn = [
        _draw(samples, tokens, augmentation, sample, np.random.default_rng([seed, step, 1 + slot]))
        for slot, sample in zip(slots, sample_numbers(len(samples), seed, step, batch, slots), strict=True)
    ]
    tensors = {f.name: torch.stack([getattr(one, f.name) for one in drawn]) for f in fields(Batch) if f.name != "rigs"}
    return Batch(**tensors, rigs=tuple(one.rigs[0] for one in drawn))


def sample_numbers(samples: int, seed: int, step: int, batch: int, slots: Sequence[int]) -> list[int]:
    """Which sample each slot shows."""
    places = [divmod(step * batch + slot, samples) for slot in slots]
    order = {epoch: np.random.default_rng([seed, epoch]).permutation(samples) for epoch in {e for e, _ in places}}
    return [int(order[epoch][place]) for epoch, place in places]


def _draw(
    samples: Samples, tokens: TokenRecipe, augmentation: Augmentation, sample: int, rng: np.random.Generator
) -> Batch:
    """One sample, its fields without the axis B."""
    k, s = samples.locate(sample)
    shard = samples.shards[k]
    mirrored = bool(rng.random() < augmentation.mirror)
    step = -1 if mirrored else 1
    depth_m = shard.depth_m[s, ..., ::step].astype(np.float32)
    rgb = augment_pictures(shard.rgb[s, :, :, ::step], depth_m, augmentation, rng)
    local = shard.asset[s, ..., ::step].astype(np.int64)
    thing = local >= samples.stuff
    asset = np.where(thing, local - samples.stuff + samples.first_thing[k], np.maximum(local, 0))
    purity = shard.purity[s, ..., ::step] / np.float32(255)
    weight = np.where((purity >= tokens.min_purity) & (local >= 0), purity, 0) * np.where(thing, 1, tokens.stuff_weight)
    asked = (thing | (rng.random(local.shape) < tokens.stuff_share)) & (weight > 0)
    lost = rng.random(len(rgb)) < augmentation.lost
    rgb[lost], depth_m[lost], weight[lost], asked[lost] = 0, np.inf, 0, False
    intrinsics, ego_from_cam = shard.intrinsics[s], shard.ego_from_cam[s]
    if mirrored:
        intrinsics = intrinsics * (1, 1, -1, 1) + (0, 0, rgb.shape[2] - 1, 0)
        ego_from_cam = _MIRROR_EGO @ ego_from_cam @ _MIRROR_CAM
    return Batch(
        torch.from_numpy(rgb),
        torch.from_numpy(depth_m),
        torch.tensor(mirrored),
        torch.from_numpy(asset),
        torch.from_numpy(samples.family_of_asset[asset]),
        torch.from_numpy(weight.astype(np.float32)),
        torch.from_numpy(asked),
        torch.from_numpy(shard.bev[s, ..., ::step].astype(np.float32)),
        torch.from_numpy(shard.visible[s, ..., ::step].copy()),
        (_rig_of(intrinsics, ego_from_cam, samples.labels),),
    )


def augment_pictures(
    rgb: np.ndarray, depth_m: np.ndarray | None, augmentation: Augmentation, rng: np.random.Generator
) -> np.ndarray:
    """[N, H, W, 3] uint8, some corrupted, all in another light, as drawn; ``depth_m`` [N, H / 2, W / 2] is for fog."""
    whole = None if depth_m is None else list(depth_m.repeat(2, axis=1).repeat(2, axis=2))
    rgb = corrupt_some(rgb, augmentation.corrupt, rng, whole)
    if not augmentation.light:
        return rgb
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    return np.asarray(augment_light(torch.from_numpy(rgb), generator).round().to(torch.uint8).numpy())


def _rig_of(intrinsics: np.ndarray, ego_from_cam: np.ndarray, labels: Labels) -> NetworkRig:
    return _shared_rig(intrinsics.tobytes(), ego_from_cam.tobytes(), labels.image_size, labels.patch_px)


@lru_cache(maxsize=1024)
def _shared_rig(intrinsics: bytes, poses: bytes, size: tuple[int, int], patch_px: int) -> NetworkRig:
    height, width = size
    return NetworkRig(
        [
            PinholeCamera(*camera, width=width, height=height)
            for camera in np.frombuffer(intrinsics).reshape(-1, 4).tolist()
        ],
        [RigidTransform.from_matrix(pose) for pose in np.frombuffer(poses).reshape(-1, 4, 4)],
        patch_px,
    )
