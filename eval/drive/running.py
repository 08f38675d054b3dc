"""Drives through the pipeline: a fresh one for each, a bundle of frames a tick, every tick's record.

Records are kept beside the drives, found by everything they depend on: the drive, the runtime's source, the model, the
bank, the engine, the site. A run that was killed goes on after its last whole drive.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import airside
from airside.bank.store import BankStore
from airside.config import SiteConfig
from airside.engine.engine import Engine
from airside.messages import Frame, FrameBundle, TickRecord
from airside.pipeline import Pipeline, Tick
from eval.drive.records import load_records, save_records
from eval.drive.stored import StoredDrive, path_of, rig_of
from eval.drive.truth import truths_of
from eval.metrics.drive import DriveResult
from training.apron_drives import TICK_S

_ROOTS = ("airside.pipeline", "airside.engine.engines")  # what they import is what a tick's record depends on

Watcher = Callable[[int, Tick, dict[str, np.ndarray]], None]  # tick number, what it gave, the cameras' pictures


@dataclass(frozen=True)
class Runner:
    """What all drives are run with."""

    engine: Engine
    engine_name: str
    bank: Path
    site: SiteConfig

    def pipeline(self, drive: StoredDrive) -> Pipeline:
        mounts = {camera.name: camera for camera in rig_of(drive.plan).cameras}
        return Pipeline(self.engine, BankStore(self.bank), site=self.site, rig=mounts)

    def records_path(self, drive: StoredDrive, cache: Path) -> Path:
        manifest, snapshot = self.engine.manifest, BankStore(self.bank).head_id()
        drawn = path_of(drive.plan, cache).name
        facts = (drawn, runtime_digest(), manifest.fingerprint, snapshot, self.engine_name, self.site)
        key = hashlib.sha256(repr(facts).encode()).hexdigest()
        return cache / "records" / f"{drive.plan.name}-{key[:16]}.jsonl"


def run_drive(drive: StoredDrive, runner: Runner, cache: Path) -> DriveResult:
    """The drive's records, from the folder ``cache`` if they are there, beside its truth."""
    path = runner.records_path(drive, cache)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        save_records(path, list(_records(drive, runner, None)))
    return DriveResult(
        name=drive.plan.name,
        kind=drive.plan.kind,
        condition=drive.plan.condition,
        cameras=drive.cameras,
        tick_s=TICK_S,
        truths=truths_of(drive, runner.site),
        records=load_records(path),
    )


def watch_drive(drive: StoredDrive, runner: Runner, watcher: Watcher) -> None:
    """Run the drive for somebody who looks at every tick."""
    for _ in _records(drive, runner, watcher):
        pass


def bundle_at(drive: StoredDrive, tick: int) -> FrameBundle:
    """The frames of one tick, taken at its time. The clock starts at one tick: zero reads as never."""
    now_ns = round((tick + 1) * TICK_S * 1e9)
    pictures = zip(drive.cameras, drive.pictures(tick), strict=True)
    return FrameBundle(now_ns, tuple(Frame(name, image, now_ns, tick) for name, image in pictures))


def _records(drive: StoredDrive, runner: Runner, watcher: Watcher | None) -> Iterator[TickRecord]:
    pipeline = runner.pipeline(drive)
    with threadpool_limits(1, user_api="blas"):  # as airside's own loop does
        for number in range(drive.ticks):
            bundle = bundle_at(drive, number)
            tick = pipeline.tick(bundle)
            if watcher is not None:
                watcher(number, tick, {frame.camera: frame.image for frame in bundle.frames})
            yield replace(tick.record, timing_ms=tick.timing_ms)  # a recording's record leaves them out


@functools.cache
def runtime_digest() -> str:
    """SHA-256 of the runtime's source, as far as records depend on it: not of drawing, commands, publishers."""
    digest = hashlib.sha256()
    for name in sorted(runtime_modules()):
        digest.update(name.encode() + _source(name).read_bytes())
    return digest.hexdigest()


def runtime_modules() -> set[str]:
    """The modules of airside that :data:`_ROOTS` import, and those that they import, found in their source."""
    found, waiting = set[str](), list(_ROOTS)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imported(_source(name))
    return found


def _imported(source: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "airside":
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names if alias.name.split(".")[0] == "airside"]
    return [name for name in names if _source(name).exists()]


def _source(module: str) -> Path:
    path = Path(airside.__file__).parent.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
