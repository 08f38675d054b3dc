"""A site's threshold from its own clean frames: pictures in which everything is known."""

from __future__ import annotations

import argparse
from dataclasses import replace

from airside.bank.bank import Calibration, PrototypeBank
from airside.cameras.fit import fit_to_network
from airside.cameras.sources import open_camera
from airside.commands.artifacts import author, commit_prepared, model_path, store_to_change
from airside.commands.engine_choice import ready_engine
from airside.errors import UsageError
from airside.knowledge import knowledge_from_bank, map_from_tokens
from airside.ood.conformal import clean_frames_needed, threshold_from_clean
from airside.ood.evidence import frame_region_score
from airside.pipeline import DEFAULT_METHOD
from airside.progress import Progress

ALPHA = 0.01


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="clean frames: a folder, a video, ... with nothing unknown")
    parser.add_argument(
        "--alpha", type=float, default=ALPHA, help="share of clean frames that may alarm (default 0.01)"
    )
    parser.add_argument("--method", default=DEFAULT_METHOD, help=f"scoring method (default: {DEFAULT_METHOD})")
    parser.add_argument("--max-frames", type=int, default=5000, help="read at most so many (default 5000)")


def calibrate(args: argparse.Namespace) -> tuple[Calibration, str]:
    """Measure every frame, store the threshold as a new snapshot: the calibration and the snapshot's id.

    Raises :class:`UsageError` for an alpha or a number of frames that promises nothing.
    """
    needed = clean_frames_needed(args.alpha)
    store, model = store_to_change(args.bank), model_path(args.model)
    engine = ready_engine(model)
    bank, _ = store.load()
    bank.require_model(engine.manifest.fingerprint, str(args.bank), str(model))
    way, m = knowledge_from_bank(bank, "", args.method), engine.manifest
    scores: list[float] = []
    with open_camera(args.source) as camera, Progress("clean frames", camera.expected_frames) as progress:
        for frame in camera.frames():
            net = fit_to_network(frame.image, m.height_px, m.width_px, m.patch_px)
            score_map = map_from_tokens(engine.tokens(net.image[None])[0], way)
            scores.append(frame_region_score(score_map, net.observed))
            progress.step()
            if len(scores) >= args.max_frames:
                break
    if len(scores) < needed:
        raise UsageError(
            f"{args.source} gave {len(scores)} clean frames; alpha {args.alpha:g} needs {needed} or more: "
            "record more, of several drives, or promise less with a larger --alpha"
        )
    found = Calibration(args.method, threshold_from_clean(scores, args.alpha), args.alpha, len(scores))

    def with_threshold(current: PrototypeBank) -> PrototypeBank:
        others = tuple(c for c in current.calibrations if c.method != args.method)
        return replace(current, calibrations=(*others, found))

    message = args.message if args.message is not None else f"calibrated {args.method} on {len(scores)} clean frames"
    return found, commit_prepared(store, with_threshold, author(args.author), message).id
