"""Which engine runs, and the gate before it: none runs that has not repeated the bundle's stored outputs here."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from airside.engine.bundle import open_bundle
from airside.engine.engine import Engine
from airside.engine.engines import DEFAULT_ENGINE, ENGINES, LoadedEngine, engine_kind, load_named
from airside.engine.parity import compare, load_outputs
from airside.engine.verification import Detections, Verification, keep, kept
from airside.errors import RefusedError, StorageError


def add_engine_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engine", metavar="NAME", default=DEFAULT_ENGINE,
                        help=f"what runs the model: {', '.join(ENGINES)} (default: {DEFAULT_ENGINE})")  # fmt: skip


def verify_engine(loaded: LoadedEngine, model: Path, detections: Detections | None = None) -> Verification:
    """Hold ``loaded`` against what bundle ``model`` stores. Raises :class:`CorruptError` where that is damaged."""
    manifest = loaded.engine.manifest
    stored = loaded.stored if loaded.stored is not None else load_outputs(model / "parity.npz", manifest)
    return Verification(loaded.identity, manifest.name, compare(loaded.engine, stored), detections)


def ready_engine(model: Path, name: str = DEFAULT_ENGINE, note: Callable[[str], None] | None = None) -> Engine:
    """Engine ``name`` on bundle ``model``, verified on this machine with these libraries.

    The default engine is verified here when nobody did before; ``note`` (standard error unless given) is told.

    Raises :class:`RefusedError` when it did not pass, or was never verified; the message says the command.
    """
    kind, loaded = engine_kind(name), load_named(name, open_bundle(model))
    answer = kept(loaded.identity)
    if answer is not None and answer.passed:
        return loaded.engine
    failed = answer.failed if answer is not None else ()
    command = f"airside verify {model} --engine {name}"
    if kind.at_start:
        start = time.perf_counter()
        found = verify_engine(loaded, model)
        (note or _say)(f"{name} held against the model's stored outputs: {_kept_where(found, start)}")
        if found.passed:
            return loaded.engine
        failed = found.failed
    elif answer is None:
        raise RefusedError(
            f"engine {name} has not been verified on this machine, with these libraries, for {model}: run: {command}"
        )
    raise RefusedError(
        f"engine {name} computes something else here than {model} stores: {'; '.join(failed)}. It does not run; copy "
        f"the bundle again, install another version of the library, or use another engine. To see all of it: {command}"
    )


def _kept_where(found: Verification, start: float) -> str:
    said = f"{'passed' if found.passed else 'FAILED'} in {time.perf_counter() - start:.1f} s"
    try:
        return f"{said}, kept in {keep(found).parent}"
    except StorageError as error:
        return f"{said}, but this cannot be kept and is done at every start ({error})"


def _say(text: str) -> None:
    print(f"airside: {text}", file=sys.stderr, flush=True)
