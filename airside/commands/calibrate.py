"""A site's threshold from its own clean frames: pictures in which everything is known."""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from airside.bank.bank import Calibration, PrototypeBank
from airside.cameras.fit import fit_to_network
from airside.cameras.rectify import Rectifier
from airside.cameras.sources import open_camera
from airside.commands.artifacts import author, commit_prepared, model_path, store_to_change
from airside.commands.engine_choice import ready_engine
from airside.config import CameraConfig, SiteConfig, load_rig
from airside.errors import UsageError
from airside.fusion.mounted import mounted_view
from airside.fusion.viewpoint import path_of
from airside.knowledge import knowledge_from_bank, maps_from_tokens
from airside.messages import NetworkInput
from airside.ood.conformal import ALPHA, ALPHA_PATH, clean_frames_needed, threshold_from_clean
from airside.ood.evidence import frame_region_score
from airside.ood.path import PATH, path_score
from airside.pipeline import DEFAULT_METHOD
from airside.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="clean frames: a folder, a video, ... with nothing unknown")
    parser.add_argument(
        "--alpha", type=float, default=ALPHA, help=f"share of clean frames that may alarm (default {ALPHA})"
    )
    parser.add_argument("--rig", metavar="FILE", help="the camera's rig: also sets the threshold of the path ahead")
    parser.add_argument("--camera", metavar="NAME", help="which camera of the rig SOURCE is (default: its only one)")
    parser.add_argument(
        "--alpha-path",
        type=float,
        default=ALPHA_PATH,
        help="share of clean paths in which one frame may find something unfamiliar "
        f"(default {ALPHA_PATH}; two of three say it)",
    )
    parser.add_argument("--method", default=DEFAULT_METHOD, help=f"scoring method (default: {DEFAULT_METHOD})")
    parser.add_argument("--max-frames", type=int, default=5000, help="read at most so many (default 5000)")


def calibrate(args: argparse.Namespace) -> tuple[Calibration, str]:
    """Measure every frame, store the threshold as a new snapshot: the calibration and the snapshot's id.

    Raises :class:`UsageError` for an alpha or a number of frames that promises nothing.
    """
    needed = clean_frames_needed(args.alpha)
    mount = _mount(args)
    store, model = store_to_change(args.bank), model_path(args.model)
    engine = ready_engine(model)
    bank, _ = store.load()
    bank.require_model(engine.manifest.fingerprint, str(args.bank), str(model))
    way, m = knowledge_from_bank(bank, "", args.method), engine.manifest
    scores: list[float] = []
    paths: list[float] = []
    rectifier = Rectifier(mount) if mount is not None else None
    with open_camera(args.source) as camera, Progress("clean frames", camera.expected_frames) as progress:
        for frame in camera.frames():
            frame = frame if rectifier is None else rectifier.frame(frame)
            net = fit_to_network(frame.image, m.height_px, m.width_px, m.patch_px)
            score_map, path_map = maps_from_tokens(engine.tokens(net.image[None])[0], way)
            scores.append(frame_region_score(score_map, net.observed))
            if mount is not None:
                paths.append(path_score(path_map.ood_score, _path(mount, frame.image.shape, net)))
            progress.step()
            if len(scores) >= args.max_frames:
                break
    if len(scores) < needed:
        raise UsageError(
            f"{args.source} gave {len(scores)} clean frames; alpha {args.alpha:g} needs {needed} or more: "
            "record more, of several drives, or promise less with a larger --alpha"
        )
    filed_as = way.scorer.calibrated_as
    found = Calibration(filed_as, threshold_from_clean(scores, args.alpha), args.alpha, len(scores))
    made = [found]
    if mount is not None:
        threshold = threshold_from_clean(paths, args.alpha_path)
        made.append(Calibration(filed_as + PATH, threshold, args.alpha_path, len(paths)))

    def with_threshold(current: PrototypeBank) -> PrototypeBank:
        names = {c.method for c in made}
        others = tuple(c for c in current.calibrations if c.method not in names)
        return replace(current, calibrations=(*others, *made))

    message = args.message if args.message is not None else f"calibrated {args.method} on {len(scores)} clean frames"
    return found, commit_prepared(store, with_threshold, author(args.author), message).id


def _mount(args: argparse.Namespace) -> CameraConfig | None:
    if args.rig is None:
        return None
    rig = load_rig(args.rig)
    if args.camera is None and len(rig.cameras) > 1:
        raise UsageError(f"rig {args.rig} has {len(rig.cameras)} cameras: say with --camera which one SOURCE is")
    return rig.cameras[0] if args.camera is None else rig.camera(args.camera)


def _path(mount: CameraConfig, shape: tuple[int, ...], net: NetworkInput) -> np.ndarray:
    """The path by an untouched site's settings. Raises :class:`UsageError` for a camera that does not see it."""
    site = SiteConfig()
    path = path_of(mounted_view(mount, shape, net), site.corridor_half_width_m, site.caution_distance_m)
    if not path.any():
        raise UsageError(f"camera {mount.name} does not see the path ahead: leave --rig out, or give a front camera")
    return path
