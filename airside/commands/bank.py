"""A bank's versions: make a copy, look, go back, compare, verify, move to another model.

Every version is kept. REF is HEAD, a version's number, or the first 4 or more digits of its id.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from airside.assets import require_own_bank
from airside.bank.bank import Calibration, PrototypeBank
from airside.bank.snapshot import SnapshotInfo
from airside.bank.store import BankStore
from airside.commands import calibrate
from airside.commands.artifacts import (
    add_bank_option,
    add_model_option,
    add_provenance_options,
    author,
    bank_path,
    commit_prepared,
    model_path,
    store_to_change,
)
from airside.commands.contact_sheet import write_contact_sheet
from airside.commands.engine_choice import ready_engine
from airside.commands.table import table
from airside.enrolment.enrol import migrate
from airside.errors import CorruptError

Action = Callable[[argparse.Namespace], int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, run: Action, text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(do=run)
        add_bank_option(sub, required=True)
        sub.add_argument("--json", action="store_true", help="print one JSON object")
        return sub

    made = action("init", _init, "make a bank of your own: a copy of the embedded one")
    made.add_argument("--from", dest="source", type=Path, metavar="DIR", help="copy this bank's HEAD instead")
    add_provenance_options(made)
    action("log", _log, "the history, newest first")
    shown = action("show", _show, "what a version knows")
    shown.add_argument("ref", metavar="REF", nargs="?", default="HEAD", help="which version (default: HEAD)")
    shown.add_argument("--crops", type=Path, metavar="FILE.png", help="write a sheet of the kept support crops")
    back = action("rollback", _rollback, "make an older version's contents current again, as a new version")
    back.add_argument("ref", metavar="REF", help="the version to return to")
    add_provenance_options(back)
    compared = action("diff", _diff, "what changed from version A to version B")
    compared.add_argument("a", metavar="A")
    compared.add_argument("b", metavar="B", nargs="?", default="HEAD")
    action("verify", _verify, "read every version and check it; exit code 5 when something is damaged")
    moved = action("migrate", _migrate, "learn every class again with another model, from the kept support crops")
    add_model_option(moved)
    add_provenance_options(moved)
    tuned = action("calibrate", _calibrate, "set the site's threshold from its own clean frames")
    calibrate.add_arguments(tuned)
    add_model_option(tuned)
    add_provenance_options(tuned)


def run(args: argparse.Namespace) -> int:
    do: Action = args.do
    return do(args)


def _init(args: argparse.Namespace) -> int:
    require_own_bank(args.bank)
    bank, origin = BankStore(bank_path(args.source)).load()
    message = args.message if args.message is not None else f"copy of snapshot {origin.id[:12]}"
    info = BankStore(args.bank).create(bank, author(args.author), message)
    return _tell(args, _info_json(info), f"made {args.bank} with {len(bank.classes)} classes")


def _log(args: argparse.Namespace) -> int:
    infos = BankStore(args.bank).log()
    rows = [(i.number, i.id[:12], i.created_utc[:19].replace("T", " "), i.author, i.message) for i in infos]
    text = table(("number", "id", "made (UTC)", "by", "message"), rows, right="r")
    return _tell(args, {"snapshots": [_info_json(i) for i in infos]}, text)


def _show(args: argparse.Namespace) -> int:
    bank, info = BankStore(args.bank).load(args.ref)
    value = {
        "snapshot": info.id,
        **{key: found for key, found in _info_json(info).items() if key != "snapshot"},
        "model_fingerprint": bank.model_fingerprint,
        "channels": bank.channels,
        "classes": [
            {
                "name": known.name,
                "kind": known.kind.value,
                "protected": known.protected,
                "prototypes": len(known.prototypes),
                "held_out": len(known.held_out_similarity),
                "support": len(known.support),
            }
            for known in bank.classes
        ],
        "calibrations": [_calibration_json(c) for c in bank.calibrations],
        "guards": {name: bank.guard_names.count(name) for name in dict.fromkeys(bank.guard_names)},
    }
    text = _shown(bank, info)
    if args.crops is not None:
        value["crops"] = str(args.crops)
        text += f"\n\nsupport crops of {write_contact_sheet(bank, args.crops)} classes: {args.crops}"
    return _tell(args, value, text)


def _shown(bank: PrototypeBank, info: SnapshotInfo) -> str:
    rows = [
        (c.name, c.kind.value, "protected" if c.protected else "", len(c.prototypes), len(c.support))
        for c in bank.classes
    ]
    guards = [f"{name} ({bank.guard_names.count(name)})" for name in dict.fromkeys(bank.guard_names)]
    thresholds = [
        f"{c.method} {c.threshold:.4f} from {c.clean_frames} clean frames"
        for c in bank.calibrations
        if c.threshold == c.threshold  # NaN: not calibrated
    ]
    return "\n".join(
        [
            f"snapshot {info.number} ({info.id[:12]}), {info.created_utc[:19].replace('T', ' ')} UTC, "
            f"by {info.author}: {info.message}",
            f"model {bank.model_fingerprint[:12]}, {bank.channels} channels",
            f"thresholds: {'; '.join(thresholds) or 'none is calibrated'}",
            f"must stay unknown: {', '.join(guards) or 'nothing is guarded'}",
            "",
            table(("class", "kind", "", "prototypes", "support"), rows, right="lllrr"),
        ]
    )


def _rollback(args: argparse.Namespace) -> int:
    require_own_bank(args.bank)  # but HEAD may be damaged: this is the way out
    info = BankStore(args.bank).rollback(args.ref, author=author(args.author), message=args.message)
    return _tell(args, _info_json(info), f"snapshot {info.number} ({info.id[:12]}): {info.message}")


def _diff(args: argparse.Namespace) -> int:
    diff = BankStore(args.bank).diff(args.a, args.b)
    lines = [f"+ {name}" for name in diff.added] + [f"- {name}" for name in diff.removed]
    lines += [
        f"~ {c.name}: prototypes {c.prototypes_before} -> {c.prototypes_after}, support {c.support_before} -> "
        f"{c.support_after}"
        for c in diff.changed
    ]
    parts = (("model", diff.model_changed), ("calibrations", diff.calibrations_changed), ("guard", diff.guard_changed))
    lines += [f"~ {what}" for what, changed in parts if changed]
    return _tell(args, {**asdict(diff), "is_empty": diff.is_empty}, "\n".join(lines) or "no difference")


def _verify(args: argparse.Namespace) -> int:
    report = BankStore(args.bank).verify()
    value = asdict(report) | {"ok": report.ok, "head": None if report.head is None else _info_json(report.head)}
    lines = [f"{report.intact} of {report.snapshots} snapshots are whole"]
    lines += [f"DAMAGE: {problem}" for problem in report.problems] + [f"note: {note}" for note in report.notes]
    _tell(args, value, "\n".join([*lines, "everything is in order" if report.ok else "something is damaged"]))
    return 0 if report.ok else CorruptError.exit_code


def _migrate(args: argparse.Namespace) -> int:
    store = store_to_change(args.bank)
    engine = ready_engine(model_path(args.model))
    bank, head = store.load()
    if bank.model_fingerprint == engine.manifest.fingerprint:
        return _tell(args, _info_json(head), f"{args.bank} was made with this model already; nothing to do")
    message = args.message if args.message is not None else f"migrate to model {engine.manifest.fingerprint[:12]}"
    info = commit_prepared(store, lambda current: migrate(current, engine), author(args.author), message)
    after, _ = store.load(info.id)
    lost = sorted(set(bank.guard_names) - set(after.guard_names))
    lines = [
        f"snapshot {info.number} ({info.id[:12]}): {len(after.classes)} classes learnt again "
        f"with {engine.manifest.name}",
        "thresholds are not calibrated for this model: until `airside bank calibrate` every tick says DEGRADED",
    ]
    if lost:
        lines.append(f"WARNING: guarded patches of {', '.join(lost)} keep no pictures and are not guarded any more")
    return _tell(args, _info_json(info) | {"guards_lost": lost}, "\n".join(lines))


def _calibrate(args: argparse.Namespace) -> int:
    found, snapshot = calibrate.calibrate(args)
    text = (
        f"{found.method}: threshold {found.threshold:.4f} from {found.clean_frames} clean frames; "
        f"of frames like these at most {found.alpha:.1%} should alarm"
    )
    return _tell(args, {"snapshot": snapshot, **_calibration_json(found)}, text)


def _info_json(info: SnapshotInfo) -> dict[str, Any]:
    return {"snapshot": info.id, **{key: value for key, value in asdict(info).items() if key != "id"}}


def _calibration_json(calibration: Calibration) -> dict[str, Any]:
    """JSON has no NaN: null where nothing was calibrated."""
    return {key: None if value != value else value for key, value in asdict(calibration).items()}


def _tell(args: argparse.Namespace, value: dict[str, Any], text: str) -> int:
    print(json.dumps(value) if args.json else text)
    return 0
