"""Check this installation, a model, a bank and a rig. Exit code 0 when nothing fails; each failure says what to do."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from airside.commands.artifacts import add_bank_option, add_model_option, bank_path, model_path
from airside.commands.check import FAIL, INFO, OK, WARN, Check
from airside.commands.engine_checks import engine_checks
from airside.commands.library_checks import library_checks
from airside.commands.table import table
from airside.errors import AirsideError
from airside.ood.path import PATH

if TYPE_CHECKING:
    from airside.engine.engine import Engine

LOW_SPACE_BYTES, NO_SPACE_BYTES = 1 << 30, 64 << 20
TIMED_PASSES = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_option(parser)
    add_bank_option(parser, required=False)
    parser.add_argument("--rig", type=Path, metavar="FILE", help="a rig file: what do its cameras see, what not?")
    parser.add_argument("--out", type=Path, metavar="DIR",
                        help="where results will be written (default: the current folder); with --rig the picture of "
                             "its coverage is")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    checks: list[Check] = []
    out = args.out or Path(".")
    for group in (
        _python,
        library_checks,
        lambda: _model_and_bank(args),
        lambda: _rig(args),
        lambda: _disk(out),
        _video,
        _threads,
    ):
        checks += _caught(group)
    rows = [(check.state, check.what, check.detail) for check in checks]
    print(table(("", "check", "found"), rows))
    failed = sum(check.state == FAIL for check in checks)
    warned = sum(check.state == WARN for check in checks)
    print(f"\n{f'{failed} failed' if failed else 'nothing failed'}, {warned} warnings")
    return 1 if failed else 0


def _caught(group: Callable[[], Iterator[Check]]) -> list[Check]:
    """The checks of ``group``; an error ends the group as a failed check, and the other groups go on."""
    found: list[Check] = []
    try:
        for check in group():
            found.append(check)
    except AirsideError as error:
        found.append(Check(FAIL, "see right", str(error)))
    except Exception as error:  # a doctor does not fall over what it examines
        found.append(Check(FAIL, "see right", f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"))
    return found


def _python() -> Iterator[Check]:
    found = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= (3, 11)
    yield Check(OK if ok else FAIL, "Python", found if ok else f"{found}: airside needs 3.11 or later")


def _model_and_bank(args: argparse.Namespace) -> Iterator[Check]:
    from airside.bank.store import BankStore
    from airside.engine.onnx import load_engine

    try:
        path = model_path(args.model)
        engine = load_engine(path)
    except AirsideError as error:
        yield Check(FAIL, "model", str(error))
        engine = None
    if engine is not None:
        manifest = engine.manifest
        size = f"{manifest.width_px} x {manifest.height_px} px"
        gives = ", ".join(manifest.outputs)
        yield Check(OK, "model", f"{manifest.name} {manifest.fingerprint[:12]}, {size}, gives {gives}")
        yield parity_check(path, engine)
        yield from engine_checks(path)
        yield _speed(engine.tokens, (1, manifest.height_px, manifest.width_px, 3))
    said: tuple[str, ...] = ()
    try:
        store = BankStore(bank_path(args.bank))
        report = store.verify()
        said = tuple(report.problems)
        for problem in said:
            yield Check(FAIL, "bank", problem)
        bank, info = store.load()
    except AirsideError as error:
        if str(error) not in said:
            yield Check(FAIL, "bank", str(error))
        return
    if report.ok:
        found = f"{len(bank.classes)} classes, snapshot {info.number} ({info.id[:12]})"
        yield Check(OK, "bank", f"{found}, {report.intact} of {report.snapshots} snapshots are whole")
    if engine is not None:
        try:
            bank.require_model(engine.manifest.fingerprint, str(store.path), str(path))
            yield Check(OK, "bank and model", "belong together")
        except AirsideError as error:
            yield Check(FAIL, "bank and model", str(error))
    if not bank.calibrations:
        yield Check(WARN, "thresholds", "none is calibrated: alarm rates are not promised, health says DEGRADED")
    elif not any(found.method.endswith(PATH) for found in bank.calibrations):
        advice = "airside bank calibrate CLEAN --rig FILE --camera NAME"
        yield Check(WARN, "path threshold", f"none: with a rig the far path is not looked at more closely; {advice}")


def _rig(args: argparse.Namespace) -> Iterator[Check]:
    if args.rig is None:
        return
    from airside.commands.rig_checks import network_size, rig_checks
    from airside.config import load_rig

    try:
        rig = load_rig(args.rig)
    except AirsideError as error:
        yield Check(FAIL, "rig", str(error))
        return
    yield Check(OK, "rig", f"{args.rig}: {len(rig.cameras)} cameras")
    yield from rig_checks(rig, network_size(model_path(args.model)), args.out, args.rig.stem)


def parity_check(model: Path, engine: Engine) -> Check:
    """Does the engine, here, compute what it computed where the bundle was made?"""
    from airside.engine import parity

    again = "copy the bundle again or export it anew"
    try:
        stored = parity.load_outputs(model / "parity.npz", engine.manifest)
        found = parity.differences(engine, stored)
    except AirsideError as error:
        return Check(FAIL, "stored outputs", str(error))
    wrong = {name: worst for name, worst in found.items() if not worst <= parity.TOLERANCE}  # NaN fails too
    if wrong:
        detail = (
            f"{', '.join(f'{name} differs by {worst:.2g}' for name, worst in wrong.items())}, allowed "
            f"{parity.TOLERANCE:g}: this engine computes something else here and must not be used; {again}, or install "
            "another onnxruntime"
        )
        return Check(FAIL, "stored outputs", detail)
    repeated = ", ".join(f"{name} within {worst:.1g}" for name, worst in found.items())
    return Check(OK, "stored outputs", f"repeated on {len(stored.images)} pictures: {repeated}")


def _speed(tokens_of: Callable[[np.ndarray], np.ndarray], shape: tuple[int, int, int, int]) -> Check:
    image = np.zeros(shape, np.uint8)
    tokens_of(image)
    times_ms = []
    for _ in range(TIMED_PASSES):
        start = time.perf_counter()
        tokens_of(image)
        times_ms.append((time.perf_counter() - start) * 1e3)
    return Check(INFO, "one network pass", f"{np.median(times_ms):.1f} ms")


def _disk(out: Path) -> Iterator[Check]:
    place = out.absolute()
    while not place.exists():  # the folder itself may be made later
        place = place.parent
    if not place.is_dir():
        yield Check(FAIL, "output folder", f"{place} is a file: choose another folder with --out")
        return
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"airside")
    except OSError as error:
        yield Check(FAIL, "output folder", f"{place}: {error.strerror}: choose another folder or fix its rights")
        return
    free = shutil.disk_usage(place).free
    state = FAIL if free < NO_SPACE_BYTES else WARN if free < LOW_SPACE_BYTES else OK
    advice = "" if state == OK else ": free some space"
    yield Check(state, "output folder", f"{place} can be written, {free / 2**30:.1f} GiB free{advice}")


def _video() -> Iterator[Check]:
    from airside.video_writer import VideoWriter

    with tempfile.TemporaryDirectory() as folder:
        picture: np.ndarray = np.full((64, 96, 3), 90, np.uint8)
        with VideoWriter(Path(folder) / "try.mp4", fps=5, size=(96, 64)) as film:
            for _ in range(3):
                film.write(picture)
    yield Check(OK, "video encoder", "a film was written and opened again")


def _threads() -> Iterator[Check]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS")
    note = f", OMP_NUM_THREADS={limit}" if limit else ""
    if usable < 2:
        yield Check(WARN, "processor", f"1 core{note}: five ticks a second may not be reached")
    else:
        yield Check(OK, "processor", f"{usable} cores{note}")
