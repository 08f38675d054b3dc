"""Where the time goes, and against what: ``python -m eval.latency --json FILE [--networks airside-mini] [--rounds 5]``

Every engine runs the same pictures with the same threads, interleaved: torch eager, onnxruntime, OpenVINO, the
AnomalyDINO way with the same encoder, the three networks a user would put together, and the matrix products alone: the
machine's own limit. The stages come from the real pipeline on the embedded drive. A rig's tick is composed of its one
pass and every camera's own stages. Missing engines are left out, saying so.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from airside.assets import embedded_bank, embedded_demo
from airside.bank.store import BankStore
from airside.cameras.fit import fit_to_network
from airside.cameras.sources import open_camera
from airside.config import SiteConfig, load_rig
from airside.engine.bundle import open_bundle
from airside.engine.engine import Engine
from airside.engine.engines import ENGINES, load_named
from airside.engine.machine import processor
from airside.errors import AirsideError, UsageError
from airside.messages import Frame, FrameBundle
from airside.pipeline import Pipeline
from eval.gemm_limit import products
from eval.latency_networks import MINI, NAMES, SHAPES, anomalydino_pass, assembled_pass, bank_for, bundle_of, torch_pass
from eval.report_file import write_json
from eval.timing import Timing, interleaved, summary

LIMITS = {"limit float32": torch.float32, "limit bfloat16": torch.bfloat16}
LIMIT_OF = {"float32": "limit float32", "bfloat16": "limit bfloat16", "int8": "limit float32"}
COMPARED = "vit_b"


def measure(name: str, cameras: list[int], rounds: int, threads: int, cache: Path) -> dict[str, Any]:
    """Everything about one network."""
    bundle = open_bundle(bundle_of(name, cache))
    engines, absent = _engines(name, cache, threads)
    frames = _frames(20)
    m = bundle.manifest
    pictures = np.stack([fit_to_network(f.image, m.height_px, m.width_px, m.patch_px).image for f in frames])
    stages, outside_ms = _stages(name, next(iter(engines.values())), pictures, frames)
    passes = {n: _passes(name, engines, pictures[:n], rounds) for n in cameras}
    best = {n: {engine: 1e3 / (passes[n][engine].median_ms + n * outside_ms) for engine in engines} for n in cameras}
    return {
        "pass_ms": {n: {k: asdict(t) for k, t in found.items()} for n, found in passes.items()},
        "stages": {stage: asdict(timing) for stage, timing in stages.items()},
        "outside_network_ms": round(outside_ms, 3),
        "share_outside_network": {
            n: {k: round(n * outside_ms / (passes[n][k].median_ms + n * outside_ms), 4) for k in engines}
            for n in cameras
        },
        "hz": {n: {k: round(hz, 2) for k, hz in found.items()} for n, found in best.items()},
        "of_gemm_limit": {
            n: {
                k: round(passes[n][LIMIT_OF[ENGINES[k].precision]].best_ms / passes[n][k].best_ms, 3)
                for k in engines
                if ENGINES[k].precision in LIMIT_OF
            }
            for n in cameras
        },
        "absent": absent,
    }


def ratios(found: dict[str, Any], cameras: list[int]) -> dict[str, Any]:
    """How many times faster airside's whole tick is than what others would run, with ViT-B and one camera."""
    one = min(cameras)
    told: dict[str, Any] = {"of_gemm_limit": {name: values["of_gemm_limit"][one] for name, values in found.items()}}
    if COMPARED in found:
        passes, hz = found[COMPARED]["pass_ms"][one], found[COMPARED]["hz"][one]
        for key, other in (("vs_anomalydino_vitb", "anomalydino"), ("vs_assembled", "assembled")):
            told[key] = {engine: round(passes[other]["median_ms"] * rate / 1e3, 3) for engine, rate in hz.items()}
    return told


def _engines(name: str, cache: Path, threads: int) -> tuple[dict[str, Engine], dict[str, str]]:
    bundle, found, absent = open_bundle(bundle_of(name, cache)), {}, {}
    for engine in ENGINES:
        try:
            found[engine] = load_named(engine, bundle, threads).engine
        except AirsideError as error:
            absent[engine] = str(error)
    return found, absent


def _passes(name: str, engines: dict[str, Engine], pictures: np.ndarray, rounds: int) -> dict[str, Timing]:
    things: dict[str, Callable[[], object]] = {k: _pass_of(engine, pictures) for k, engine in engines.items()}
    things |= {key: products(SHAPES[name], len(pictures), dtype) for key, dtype in LIMITS.items()}
    torch_too = torch_pass(name, pictures)
    if torch_too is not None:
        bank = np.random.default_rng(0).normal(size=(1000, SHAPES[name].width)).astype(np.float32)
        things["torch"] = torch_too
        things["anomalydino"] = anomalydino_pass(name, pictures, bank)
        things["assembled"] = assembled_pass(name, pictures, bank)
    return interleaved(things, rounds)


def _pass_of(engine: Engine, pictures: np.ndarray) -> Callable[[], object]:
    return lambda: engine.outputs(pictures)


def _stages(name: str, engine: Engine, pictures: np.ndarray, frames: list[Frame]) -> tuple[dict[str, Timing], float]:
    """The pipeline's own stages on one camera of the drive, and the sum of all but the network pass."""
    mount = load_rig(embedded_demo() / "rig.yaml").cameras[0]
    with tempfile.TemporaryDirectory() as folder:
        bank = Path(folder) / "bank"
        store = BankStore(embedded_bank()) if name == MINI else bank_for(engine, pictures, bank)
        pipeline = Pipeline(engine, store, site=SiteConfig(), rig={mount.name: mount})
        laps = [pipeline.tick(FrameBundle(frame.capture_ns, (frame,))).timing_ms for frame in frames][
            1:
        ]  # the first makes the tables
    stages = {stage: summary([lap[stage] for lap in laps]) for stage in laps[0]}
    return stages, float(np.median([sum(v for k, v in lap.items() if k != "network") for lap in laps]))


def _frames(count: int) -> list[Frame]:
    with open_camera(str(embedded_demo() / "drive")) as camera:
        return [frame for frame, _ in zip(camera.frames(), range(count), strict=False)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", required=True)
    parser.add_argument("--networks", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--cameras", nargs="+", type=int, default=[1, 6, 8])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=Path("out/latency"), help="where exported networks are kept")
    args = parser.parse_args()
    if min(args.cameras) < 1 or max(args.cameras) > len(_frames(20)):
        raise UsageError("--cameras: wanted numbers from 1 to 20")
    torch.set_num_threads(args.threads)
    args.cache.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    for name in args.networks:
        found[name] = measure(name, args.cameras, args.rounds, args.threads, args.cache)
        print(json.dumps({name: found[name]["hz"], "of_gemm_limit": found[name]["of_gemm_limit"]}), flush=True)
    kept_whole = ("hz", "share_outside_network", "stages")
    report = {
        "machine": {"processor": processor(), "threads": args.threads, "load": os.getloadavg()[0]},
        "rounds": args.rounds,
        **{key: {name: values[key] for name, values in found.items()} for key in kept_whole},
        "ratio": ratios(found, args.cameras),
        "networks": found,
    }
    write_json(args.json, report)


if __name__ == "__main__":
    main()
