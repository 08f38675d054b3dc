"""See it work on the embedded drive: an unknown machine is flagged, taught from five pictures, and known from then on.

Writes before/ and after/ (alerts.jsonl, overlay.mp4, stills), before_after.png, the taught bank, and summary.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from airside.assets import embedded_bank, embedded_demo, embedded_model
from airside.bank.store import BankStore
from airside.cameras.sources import open_camera
from airside.commands.engine_choice import ready_engine
from airside.commands.feeds import camera_feed
from airside.commands.register import register
from airside.commands.run_files import make_out
from airside.commands.run_summary import RunSummary
from airside.commands.support_files import Hint
from airside.commands.tick_pictures import CameraPicture
from airside.commands.watching import watch
from airside.config import SiteConfig, load_rig
from airside.engine.engine import Engine
from airside.errors import CorruptError
from airside.messages import Box, Kind, Sighting, TickRecord
from airside.overlay import one_above_other
from airside.pipeline import Pipeline

MATCH_COVER = 0.3  # of the smaller box: a sighting and a true object that share this much are the same


@dataclass(frozen=True, slots=True)
class TrueObject:
    """One unknown object visible in one tick."""

    type: str
    box_px: Box
    patches: float


@dataclass(frozen=True, slots=True)
class Script:
    """What the embedded drive shows, and what is taught: ``truth`` has one entry a tick."""

    unknown_type: str
    other_type: str
    truth: tuple[tuple[TrueObject, ...], ...]
    support: tuple[tuple[Path, Box], ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, metavar="DIR", default=Path("out/demo"), help="default: out/demo")


def run(args: argparse.Namespace) -> int:
    assets, engine = embedded_demo(), ready_engine(embedded_model())
    script = load_script(assets)
    make_out(args.out)
    bank = args.out / "bank"
    if bank.exists():
        shutil.rmtree(bank)
    shutil.copytree(embedded_bank(), bank)
    store = BankStore(bank)
    print(f"1. the drive, with the embedded bank: {script.unknown_type!r} is nowhere in it")
    before, before_run = drive(assets, engine, store, args.out / "before")
    print(f"2. an operator shows {len(script.support)} pictures")
    pictures = [path for path, _ in script.support]
    boxes: list[Hint] = [box for _, box in script.support]
    taught = register(store, engine, script.unknown_type, pictures, boxes,
                      model_name=str(embedded_model()), author="demo")  # fmt: skip
    print(f"   {script.unknown_type!r} is known after {taught.register_ms:.0f} ms, snapshot {taught.snapshot.id[:12]}")
    print("3. the same drive again")
    after, after_run = drive(assets, engine, store, args.out / "after")
    summary = summarise(script, before, after)
    summary["register_ms"] = round(taught.register_ms, 1)
    ticks = before_run.ticks + after_run.ticks
    summary["throughput_hz"] = round(
        ticks / (before_run.ticks / before_run.throughput_hz + after_run.ticks / after_run.throughput_hz), 2
    )
    summary["stage_ms"] = {k: round(v, 2) for k, v in after_run.stage_ms.items()}
    write_still(args.out, script, before, after)
    (args.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(as_text(summary, args.out))
    return 0


def drive(assets: Path, engine: Engine, store: BankStore, out: Path) -> tuple[list[TickRecord], RunSummary]:
    """Run the embedded drive once."""
    records: list[TickRecord] = []
    mount = load_rig(assets / "rig.yaml").cameras[0]
    pipeline = Pipeline(engine, store, site=SiteConfig(), rig={mount.name: mount}, model_path=str(embedded_model()))
    with open_camera(str(assets / "drive"), mount.name) as camera:
        feed, picture = camera_feed(camera, pipeline.site.tick_ms), CameraPicture(mounted=True)
        result = watch(feed, pipeline, out, picture=picture, on_record=records.append)
    return records, result


def summarise(script: Script, before: Sequence[TickRecord], after: Sequence[TickRecord]) -> dict[str, Any]:
    """The counts of the demo: in how many ticks which object was flagged or named."""

    def flagged(records: Sequence[TickRecord], kind: str) -> int:
        return sum(_seen(r, t, kind, _is_unknown) for r, t in zip(records, script.truth, strict=True))

    def named(sighting: Sighting) -> bool:
        return sighting.region.kind is Kind.KNOWN and sighting.region.name == script.unknown_type

    right = sum(_seen(r, t, script.unknown_type, named) for r, t in zip(after, script.truth, strict=True))
    return {
        "unknown_type": script.unknown_type,
        "other_unknown_type": script.other_type,
        "before": {"ticks": len(before), "ticks_flagged": flagged(before, script.unknown_type),
                   "ticks_flagged_other": flagged(before, script.other_type)},
        "after": {
            "ticks": len(after),
            "ticks_flagged": flagged(after, script.unknown_type),
            "ticks_named": sum(any(named(s) for s in r.sightings) for r in after),
            "named_correctly": right,
            "ticks_flagged_other": flagged(after, script.other_type),
        },
    }  # fmt: skip


def _is_unknown(sighting: Sighting) -> bool:
    return sighting.region.kind is Kind.UNKNOWN


def _seen(record: TickRecord, truth: Sequence[TrueObject], kind: str, fits: Any) -> bool:
    return any(
        fits(s) and any(t.type == kind and _same(s.region.box_px, t.box_px) for t in truth) for s in record.sightings
    )


def _is_other(sighting: Sighting, truth: Sequence[TrueObject], script: Script) -> bool:
    return any(t.type == script.other_type and _same(sighting.region.box_px, t.box_px) for t in truth)


def _same(a: Box, b: Box) -> bool:
    """Whether two boxes cover each other by :data:`MATCH_COVER` of the smaller one."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return width > 0 and height > 0 and width * height >= MATCH_COVER * smaller


def load_script(assets: Path) -> Script:
    """Read ``script.json``. Raises :class:`CorruptError` when it is not what this version wrote."""
    try:
        raw = json.loads((assets / "script.json").read_text())
        truth = tuple(
            tuple(TrueObject(o["type"], tuple(o["box_px"]), o["patches"]) for o in tick) for tick in raw["truth"]
        )
        support = tuple((assets / "support" / s["file"], tuple(s["box_px"])) for s in raw["support"])
        return Script(raw["unknown_type"], raw["other_type"], truth, support)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptError(
            f"the embedded demo in {assets} is damaged ({error}): install the airside wheel again"
        ) from error


def write_still(out: Path, script: Script, before: Sequence[TickRecord], after: Sequence[TickRecord]) -> None:
    """Before and after in the tick that shows most of the story: flagged, then named and nothing flagged but the other;
    of equal ticks the one with the largest taught object."""

    def worth(tick: int) -> tuple[int, float]:
        truth = script.truth[tick]
        told = (
            _seen(before[tick], truth, script.unknown_type, _is_unknown),
            _seen(after[tick], truth, script.unknown_type, lambda s: s.region.name == script.unknown_type),
            all(_is_other(sighting, truth, script) for sighting in after[tick].sightings if _is_unknown(sighting)),
            _seen(after[tick], truth, script.other_type, _is_unknown),
        )
        return sum(told), max((o.patches for o in truth if o.type == script.unknown_type), default=0.0)

    best = max(range(len(script.truth)), key=worth)
    pictures = [_film_frame(out / part / "overlay.mp4", best) for part in ("before", "after")]
    captions = ("before: not in the bank", f"after five pictures: {script.unknown_type.replace('_', ' ')}")
    both = one_above_other(pictures[0], pictures[1], captions)
    ok, png = cv2.imencode(".png", cv2.cvtColor(both, cv2.COLOR_RGB2BGR))
    assert ok
    (out / "before_after.png").write_bytes(png.tobytes())


def _film_frame(path: Path, index: int) -> np.ndarray:
    film = cv2.VideoCapture(str(path))
    film.set(cv2.CAP_PROP_POS_FRAMES, index)
    ok, picture = film.read()
    film.release()
    if not ok:
        raise CorruptError(f"{path} cannot be read back at tick {index}")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def as_text(summary: dict[str, Any], out: Path) -> str:
    before, after, kind = summary["before"], summary["after"], summary["unknown_type"].replace("_", " ")
    other = summary["other_unknown_type"].replace("_", " ")
    stages = sorted(summary["stage_ms"].items(), key=lambda item: -item[1])
    lines = [
        "",
        f"                        before   after   (of {before['ticks']} ticks)",
        f"{kind + ' unknown':22} {before['ticks_flagged']:7} {after['ticks_flagged']:7}",
        f"{kind + ' named':22} {0:7} {after['named_correctly']:7}",
        f"{other + ' unknown':22} {before['ticks_flagged_other']:7} {after['ticks_flagged_other']:7}",
        "",
        f"registered in {summary['register_ms']:.0f} ms; {summary['throughput_hz']:.1f} ticks a second, all included",
        "where the time goes: " + ", ".join(f"{name} {ms:.1f} ms" for name, ms in stages if ms >= 0.5),
        f"look at {out}/before_after.png, {out}/before/overlay.mp4 and {out}/after/overlay.mp4",
    ]
    return "\n".join(lines)
