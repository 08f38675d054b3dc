"""Hold an engine on this machine against the outputs stored in BUNDLE, and keep the answer for airside run.

Every engine but the default one must pass here before it runs, once for each bundle, machine and library version.
Reduced precision is also held to what it detects, beside onnxruntime in float32: with --bank and --pictures, or, for
the embedded model, on the embedded drive. Exit code 0 when it passed, 7 when it did not.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from airside.assets import embedded_bank, embedded_demo, is_embedded
from airside.commands.artifacts import model_path
from airside.commands.detections import compare_detections
from airside.commands.engine_choice import add_engine_option, verify_engine
from airside.commands.table import table
from airside.engine.bundle import open_bundle
from airside.engine.engines import DEFAULT_ENGINE, load_named
from airside.engine.verification import DETECTIONS_AGREE, LIMITS, Detections, Verification, keep
from airside.errors import RefusedError, StorageError, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE", nargs="?", type=Path,
                        help="model bundle (default: the embedded airside-mini)")  # fmt: skip
    add_engine_option(parser)
    parser.add_argument("--bank", type=Path, metavar="DIR", help="compare detections: with this bank")
    parser.add_argument("--pictures", metavar="SOURCE", help="and on this folder of pictures or video")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")


def run(args: argparse.Namespace) -> int:
    model = model_path(args.bundle)
    bundle = open_bundle(model)
    loaded = load_named(args.engine, bundle)
    shown = _shown(args, model)
    detections: Detections | None = None
    if shown is not None:
        reference = load_named(DEFAULT_ENGINE, bundle).engine
        detections = compare_detections(reference, loaded.engine, *shown)
    elif loaded.identity.precision != "float32":
        raise UsageError(
            f"{args.engine} computes in {loaded.identity.precision}: it is held to its detections too; give a bank of "
            "this model and pictures of its site (--bank DIR --pictures SOURCE)"
        )
    found = verify_engine(loaded, model, detections)
    problem = _kept(found)
    print(json.dumps(found.as_json()) if args.json else _as_text(found), flush=True)
    if problem is not None:
        raise problem
    return 0 if found.passed else RefusedError.exit_code


def _shown(args: argparse.Namespace, model: Path) -> tuple[Path, str] | None:
    """Bank and pictures to compare detections with."""
    if (args.bank is None) != (args.pictures is None):
        raise UsageError("--bank and --pictures go together: what is known, and where to look")
    if args.bank is not None:
        return args.bank, args.pictures
    if args.engine != DEFAULT_ENGINE and is_embedded(model):
        return embedded_bank(), str(embedded_demo() / "drive")
    return None


def _kept(found: Verification) -> StorageError | None:
    try:
        keep(found)
    except StorageError as error:
        return StorageError(f"the result could not be kept, so that airside run will ask for it again: {error}")
    return None


def _as_text(found: Verification) -> str:
    who = found.identity
    limits = LIMITS[who.precision]
    rows = [
        (
            c.output,
            f"{c.cosine:.6f}",
            f"{c.relative:.2g}",
            f"{c.absolute:.2g}",
            f"{limits[c.output].figure} {limits[c.output].bound:g}",
            "ok" if limits[c.output].holds(c) else "FAIL",
        )
        for c in found.outputs
    ]
    if found.detections is not None:
        seen = found.detections
        rows.append((f"detections on {seen.pictures} pictures", f"{seen.agreement:.3f} agree", "",
                     f"{seen.score_gap:.2g}", *_verdict(who.precision, seen)))  # fmt: skip
    libraries = ", ".join(f"{name} {version}" for name, version in who.libraries.items())
    lines = [
        f"{found.model} {who.fingerprint[:12]} by {who.engine} in {who.precision} ({libraries})",
        f"on {who.device}",
        "",
        table(("output", "cosine", "relative", "absolute", "limit", ""), rows, right="lrrrll"),
        "",
        "passed: this engine may run here" if found.passed else f"FAILED: {'; '.join(found.failed)}; it will not run",
    ]
    return "\n".join(lines)


def _verdict(precision: str, seen: Detections) -> tuple[str, str]:
    if precision == "float32":
        return "told only", ""
    return f"{DETECTIONS_AGREE:g} agree", "ok" if seen.agreement >= DETECTIONS_AGREE else "FAIL"
