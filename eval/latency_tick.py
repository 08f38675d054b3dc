"""What a vehicle's tick costs: the real pipeline on a ring of cameras, and how much of it is the engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from airside.bank.store import BankStore
from airside.config import CameraConfig, MountConfig, SiteConfig
from airside.engine.bundle import Manifest
from airside.engine.engine import BevMaps, Engine, NetworkOutput
from airside.geometry.bev_view import BevView
from airside.messages import Frame, FrameBundle
from airside.pipeline import Pipeline

TICK_NS = 200_000_000
Value = TypeVar("Value")


def ring(cameras: int, width: int, height: int) -> dict[str, CameraConfig]:
    """Cameras of 90 degrees all round, 2 m up."""
    made = {}
    for number in range(cameras):
        mount = MountConfig((0.0, 0.0, 2.0), yaw_deg=360 * number / cameras, pitch_deg=6.0)
        lens = (width / 2, width / 2, width / 2 - 0.5, height / 2 - 0.5)
        made[f"camera{number}"] = CameraConfig(f"camera{number}", width, height, *lens, mount, 60.0)
    return made


class TimedEngine:
    """``engine``, and how many milliseconds were spent in its passes and its bird's-eye views."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.pass_ms, self.bev_ms = engine, 0.0, 0.0

    @property
    def manifest(self) -> Manifest:
        return self._engine.manifest

    def tokens(self, images: np.ndarray) -> np.ndarray:
        found, spent_ms = _timed(lambda: self._engine.tokens(images))
        self.pass_ms += spent_ms
        return found

    def outputs(self, images: np.ndarray) -> NetworkOutput:
        found, spent_ms = _timed(lambda: self._engine.outputs(images))
        self.pass_ms += spent_ms
        return found

    def bev(self, tokens: np.ndarray, view: BevView, measured: np.ndarray | None = None) -> BevMaps:
        found, spent_ms = _timed(lambda: self._engine.bev(tokens, view, measured))
        self.bev_ms += spent_ms
        return found


def _timed(call: Callable[[], Value]) -> tuple[Value, float]:
    start = time.perf_counter()
    value = call()
    return value, 1e3 * (time.perf_counter() - start)


@dataclass(frozen=True, slots=True)
class TickCost:
    """Milliseconds a tick, the mean over ticks with and without a bird's-eye view; ``pass_ms`` and ``bev_ms``: inside
    the engine."""

    total_ms: float
    pass_ms: float
    bev_ms: float
    stages_ms: dict[str, float]

    @property
    def outside(self) -> float:
        """Share of the tick that is not the network."""
        return 1 - (self.pass_ms + self.bev_ms) / self.total_ms


class Ticker:
    """One engine driving ``cameras`` cameras; call it for as many ticks as see every branch once.

    ``pictures``: frames of the drive, shown to the cameras in turn; no camera sees one twice in a row.
    """

    def __init__(self, engine: Engine, store: BankStore, pictures: Sequence[np.ndarray], cameras: int) -> None:
        height, width = pictures[0].shape[:2]
        self._engine, self._pictures = TimedEngine(engine), pictures
        self._rig, self._site = ring(cameras, width, height), SiteConfig()
        self._pipeline = Pipeline(self._engine, store, site=self._site, rig=self._rig)
        self._count = 0
        self.costs: list[TickCost] = []

    def __call__(self) -> None:
        ticks, engine = self._site.bev_every, self._engine
        engine.pass_ms = engine.bev_ms = 0.0
        stages: dict[str, float] = {}
        total_ms = 0.0
        with threadpool_limits(1, user_api="blas"):  # as airside's own loop does
            for _ in range(ticks):
                bundle = self._next()
                tick, spent_ms = _timed(lambda bundle=bundle: self._pipeline.tick(bundle))  # type: ignore[misc]
                total_ms += spent_ms / ticks
                for stage, stage_ms in tick.timing_ms.items():
                    stages[stage] = stages.get(stage, 0.0) + stage_ms / ticks
        self.costs.append(TickCost(total_ms, engine.pass_ms / ticks, engine.bev_ms / ticks, stages))

    def _next(self) -> FrameBundle:
        self._count += 1
        now_ns = self._count * TICK_NS
        shown = [self._pictures[(self._count + 3 * k) % len(self._pictures)] for k in range(len(self._rig))]
        frames = [Frame(name, image, now_ns, self._count) for name, image in zip(self._rig, shown, strict=True)]
        return FrameBundle(now_ns, tuple(frames))
