"""Teach a bank a new class, or an old one further, from 5 to 20 pictures. No training: it takes about a second.

Say where the object is with one --box or --mask for each picture, in the same order (pixels of the upright picture).
With neither, the object is found by what the bank does not know as ground, sky or building.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from airside.bank.bank import PrototypeBank
from airside.bank.snapshot import SnapshotInfo
from airside.bank.store import BankStore
from airside.commands.artifacts import (
    add_bank_option,
    add_model_option,
    add_provenance_options,
    author,
    commit_prepared,
    model_path,
    store_to_change,
)
from airside.commands.engine_choice import ready_engine
from airside.commands.support_files import Hint, box_from_text, read_support
from airside.engine.engine import Engine
from airside.enrolment.enrol import EnrolmentReport, enrol

INTERMIXED = True  # pictures and boxes may alternate


@dataclass(frozen=True, slots=True)
class Registration:
    """A class that is safe on disk."""

    snapshot: SnapshotInfo
    report: EnrolmentReport
    register_ms: float  # reading the pictures, learning and storing; not the start of the program


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the class; a known name is taught further")
    parser.add_argument("images", metavar="IMAGE", type=Path, nargs="+", help="pictures that show it")
    parser.add_argument("--box", dest="hints", action="append", type=box_from_text, metavar="x0,y0,x1,y1",
                        help="where it is in the next picture, in pixels; x1 and y1 exclusive")  # fmt: skip
    parser.add_argument("--mask", dest="hints", action="append", type=Path, metavar="FILE",
                        help="or a picture of the same size, white on the object")  # fmt: skip
    add_bank_option(parser, required=True)
    add_model_option(parser)
    add_provenance_options(parser)
    parser.add_argument("--allow-hiding", action="store_true",
                        help="register even if persons or debris would take the name: a safety override")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    store = store_to_change(args.bank)
    model = model_path(args.model)
    done = register(
        store,
        ready_engine(model),
        args.name,
        args.images,
        args.hints or [],
        model_name=str(model),
        allow_hiding=args.allow_hiding,
        author=author(args.author),
        message=args.message,
    )
    answer = json.dumps(_as_json(done)) if args.json else _as_text(done, args.bank)
    print(f"{answer}\n", end="", flush=True)  # one write, unbuffered too: killed now, it leaves a whole line or none
    return 0


def register(
    store: BankStore,
    engine: Engine,
    name: str,
    images: list[Path],
    hints: list[Hint],
    *,
    model_name: str,
    author: str,
    message: str | None = None,
    allow_hiding: bool = False,
) -> Registration:
    """Read, learn and store class ``name``; when this returns, the new snapshot survives a power cut.

    Where boxes and masks are mixed, all count as boxes: known ground inside them is left out.
    """
    start = time.perf_counter()
    support = read_support(images, hints)
    boxed = any(not isinstance(hint, Path) for hint in hints)
    reports: list[EnrolmentReport] = []

    def learn(bank: PrototypeBank) -> PrototypeBank:
        bank.require_model(engine.manifest.fingerprint, str(store.path), model_name)
        after, report = enrol(bank, engine, name, support, boxed=boxed, allow_hiding=allow_hiding)
        reports.append(report)
        return after

    text = message if message is not None else f"register {name} from {len(support)} pictures"
    snapshot = commit_prepared(store, learn, author, text)
    return Registration(snapshot, reports[-1], (time.perf_counter() - start) * 1e3)


def _as_json(done: Registration) -> dict[str, Any]:
    report = done.report
    return {
        "snapshot": done.snapshot.id,
        "number": done.snapshot.number,
        "class": report.name,
        "pictures": report.pictures_used,
        "patches": report.patches,
        "prototypes": report.prototypes,
        "findings": [asdict(finding) for finding in report.findings],
        "overlaps": [asdict(overlap) for overlap in report.overlaps],
        "hidden": [asdict(hidden) for hidden in report.hidden],
        "register_ms": round(done.register_ms, 1),
    }


def _as_text(done: Registration, bank: Path) -> str:
    report = done.report
    lines = [
        f"{report.name}: {report.prototypes} prototypes from {report.patches} patches of {report.pictures_used} "
        f"pictures, in {done.register_ms:.0f} ms",
        f"snapshot {done.snapshot.number} ({done.snapshot.id[:12]}) of {bank}; "
        "a running engine uses it from its next tick",
    ]
    lines += [f"  look at {f.label}: {f.problem.replace('_', ' ')}: {f.detail}" for f in report.findings]
    lines += [f"  warning: {o.share:.0%} of it already looked like {o.name}" for o in report.overlaps]
    lines += [f"  WARNING: hides {h.share:.0%} of the guarded patches of {h.name}" for h in report.hidden]
    if report.overlaps or report.hidden or report.findings:
        lines.append(f"  to undo: airside bank rollback {done.snapshot.number - 1} --bank {bank}")
    return "\n".join(lines)
