"""The training pictures in the memory of the device that trains, more of them while they are still being rendered.

Axes: F single pictures, S stops of a vehicle with N cameras, L bird's-eye layers.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from airside.errors import InputError
from training.apron.families import CLUTTER, KNOWN
from training.apron.renderer import STUFF
from training.batched_lift import Rigs
from training.multitask.shards import open_shard
from training.network import FOCAL_PX
from training.pictures import FIRST_ASSET, RIGS, shard_path

FAMILIES = (*STUFF, *sorted(KNOWN))
_NUMBER = {name: k for k, name in enumerate(FAMILIES)} | dict.fromkeys(CLUTTER, len(FAMILIES))


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Pictures and what they show: ``rgb`` [P, H, W, 3] uint8; ``asset`` int32, ``purity`` uint8 [P, Hp, Wp];
    ``depth_m`` [P, H / 2, W / 2] float16 as if seen through ``FOCAL_PX`` (inf: none)."""

    rgb: Tensor
    asset: Tensor
    purity: Tensor
    depth_m: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Singles:
    """Single pictures: ``rgb`` [P, H, W, 3] uint8; of every second pixel ``label`` uint8, a world's own, and
    ``depth_m`` as in :class:`Truth`, both [P, H / 2, W / 2]."""

    rgb: Tensor
    label: Tensor
    depth_m: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Stops:
    """What a vehicle sees around it: ``pictures`` of all its cameras, [S * N, ...]; ``bev`` [S, L, X, Y] uint8,
    ``visible`` [S, X, Y] bool; ``intrinsics`` [S, N, 4] and ``ego_from_cam`` [S, N, 4, 4] float32."""

    pictures: Truth
    bev: Tensor
    visible: Tensor
    intrinsics: Tensor
    ego_from_cam: Tensor


class Pool:
    """The worlds of ``folder`` up to number ``worlds`` - 1, in the order they were found.

    ``family_of_asset`` [assets] int64 into :data:`FAMILIES`; its length for clutter. Raises :class:`InputError` when
    there is no world, or one is unlike the others.
    """

    def __init__(self, folder: Path, worlds: int, device: torch.device) -> None:
        self._folder, self._worlds, self._device = folder, worlds, device
        self._taken: list[int] = []
        self._reader = ThreadPoolExecutor(1)
        self._coming: Future[_World] | None = None
        found = self._waiting()
        if not found:
            raise InputError(f"{folder} holds no pictures; make them with: python -m training.pictures --out {folder}")
        first = self._read(found[0])
        self._families = first.families
        number = torch.tensor([_NUMBER[name] for name in self._families], device=device)
        stuff = torch.arange(FIRST_ASSET, device=device)
        self.family_of_asset = torch.cat([stuff, number.repeat(worlds)])
        self.singles = Singles(*(self._room(x) for x in _columns(first.singles)))
        self.stops: Stops | None = None
        if first.stops is not None:
            seen = Truth(*(self._room(x) for x in _columns(first.stops.pictures)))
            self.stops = Stops(seen, *(self._room(x) for x in _rig_columns(first.stops)))
        self._of_place = torch.zeros(worlds, dtype=torch.int32, device=device)
        self._take(first)
        for world in found[1:]:
            self._take(self._read(world))

    @property
    def worlds(self) -> int:
        """How many there are by now."""
        return len(self._taken)

    @property
    def pictures(self) -> int:
        """Single ones, by now."""
        return self.worlds * self._pictures_a_world

    @property
    def visits(self) -> int:
        """Stops of the vehicle, by now."""
        return 0 if self.stops is None else self.worlds * (len(self.stops.bev) // self._worlds)

    def look_for_more(self) -> None:
        """Take in a world that was read meanwhile, and begin to read the next; never waits."""
        if self._coming is not None and self._coming.done():
            self._take(self._coming.result())
            self._coming = None
        if self._coming is None and (waiting := self._waiting()):
            self._coming = self._reader.submit(self._read, waiting[0])

    def rigs(self, stops: Tensor, size_px: tuple[int, int], patch_px: int) -> Rigs:
        assert self.stops is not None
        return Rigs(self.stops.intrinsics[stops], self.stops.ego_from_cam[stops], size_px, patch_px)

    def assets(self, pictures: Tensor, label: Tensor) -> Tensor:
        """Numbers among the assets of all worlds of what a world's own ``label`` [K, ...] says in ``pictures`` [K]."""
        world = self._of_place[pictures // self._pictures_a_world]
        return _numbered(label.int(), world[:, None, None], len(self._families))

    @property
    def _pictures_a_world(self) -> int:
        return len(self.singles.rgb) // self._worlds

    def _room(self, of_one_world: Tensor) -> Tensor:
        shape = len(of_one_world) * self._worlds, *of_one_world.shape[1:]
        return torch.empty(shape, dtype=of_one_world.dtype, device=self._device)

    def _waiting(self) -> list[int]:
        taken = set(self._taken)
        return [k for k in range(self._worlds) if k not in taken and shard_path(self._folder, k).exists()]

    def _read(self, world: int) -> _World:
        with np.load(shard_path(self._folder, world)) as shard:
            columns = {name: shard[name] for name in shard.files}
        if "label" not in columns:
            raise InputError(f"world {world} in {self._folder} is of an earlier making; delete the folder, make anew")
        families = [str(name) for name in columns["families"]]
        depth_m = _canonical(columns["depth_m"], columns["focal_px"])
        singles = Singles(*(torch.tensor(x) for x in (columns["rgb"], columns["label"], depth_m)))
        path = shard_path(self._folder / RIGS, world)
        if not path.exists():
            return _World(world, singles, None, families)
        rig = open_shard(path)
        rgb, asset, purity, depth_m = (
            x.reshape(-1, *x.shape[2:]) for x in (rig.rgb, rig.asset, rig.purity, rig.depth_m)
        )
        number = _numbered(torch.tensor(asset.astype(np.int32)), world, len(families))
        depth_m = _canonical(depth_m, rig.intrinsics[..., 0].ravel())
        seen = Truth(torch.tensor(rgb), number, torch.tensor(purity), torch.tensor(depth_m))
        numbers = (torch.tensor(np.asarray(x, np.float32)) for x in (rig.intrinsics, rig.ego_from_cam))
        stops = Stops(seen, torch.tensor(rig.bev), torch.tensor(rig.visible), *numbers)
        return _World(world, singles, stops, families)

    def _take(self, came: _World) -> None:
        unlike = InputError(
            f"world {came.number} in {self._folder} is unlike the others; delete the folder, make all anew"
        )
        if came.families != self._families or (came.stops is None) != (self.stops is None):
            raise unlike
        at, pairs = len(self._taken), list(zip(_columns(self.singles), _columns(came.singles), strict=True))
        if came.stops is not None and self.stops is not None:
            pairs += zip(_columns(self.stops.pictures), _columns(came.stops.pictures), strict=True)
            pairs += zip(_rig_columns(self.stops), _rig_columns(came.stops), strict=True)
        if any(len(room) != len(x) * self._worlds for room, x in pairs):
            raise unlike
        for room, x in pairs:
            room[at * len(x) : (at + 1) * len(x)] = x.to(self._device, non_blocking=True)
        self._of_place[at] = came.number
        self._taken.append(came.number)

    def __str__(self) -> str:
        return f"{self.worlds} worlds, {self.pictures} pictures and {self.visits} stops of a vehicle"


class _World(NamedTuple):
    number: int
    singles: Singles
    stops: Stops | None
    families: list[str]


def _numbered(local: Tensor, world: Tensor | int, assets: int) -> Tensor:
    return torch.where(local >= FIRST_ASSET, local + world * assets, local)


def _canonical(depth_m: np.ndarray, focal_px: np.ndarray) -> np.ndarray:
    """As if seen through ``FOCAL_PX``."""
    scale = (FOCAL_PX / focal_px).astype(np.float32)[:, None, None]
    return np.minimum(depth_m.astype(np.float32) * scale, 60000).astype(np.float16)


def _columns(pictures: Truth | Singles) -> tuple[Tensor, ...]:
    return tuple(getattr(pictures, field.name) for field in fields(pictures))


def _rig_columns(stops: Stops) -> tuple[Tensor, ...]:
    return stops.bev, stops.visible, stops.intrinsics, stops.ego_from_cam
