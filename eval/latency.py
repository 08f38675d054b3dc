"""Where the time goes, and against what: ``python -m eval.latency --json FILE [--peer-python PATH] [--networks ...]``

Every engine drives the real pipeline, all branches, on rings of 1, 6 and 8 cameras, with the same threads and pictures,
interleaved with the others: torch eager, anomalib's AnomalyDINO with the same encoder and bank, the set a user would
put together (AnomalyDINO, transformers' Depth Anything, a Lift-Splat network with an encoder of its own), and this
machine's matrix products alone. Decoding is aside. Engines that are missing are left out, saying so.

anomalib has libraries of its own, so it runs from an environment of its own: python -m venv peer && peer/bin/pip
install 'anomalib==2.7.*', then --peer-python peer/bin/python. Without it the figures are those of a stand-in that
works the same way, and the report says so. Run it on an idle machine; the last lines say which aims are reached.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from airside.assets import embedded_demo
from airside.bank.search import PrototypeIndex
from airside.bank.store import BankStore
from airside.cameras.fit import fit_to_network
from airside.cameras.sources import open_camera
from airside.engine.bundle import open_bundle
from airside.engine.engine import Engine
from airside.engine.engines import ENGINES, engine_kind, load_named
from airside.engine.machine import processor
from airside.errors import AirsideError, UsageError
from eval import latency_networks as networks
from eval.aims import Aim, aim_line
from eval.gemm_limit import Precision, convolution_share, products_of, run_products
from eval.latency_networks import MINI, TOKENS_B
from eval.latency_peers import AnomalyDino
from eval.latency_tick import TickCost, Ticker
from eval.report_file import write_json
from eval.tensorrt_gate import SIZE_PX
from eval.timing import Timing, interleaved

COMPARED = "vit_b"
NAMES = (MINI, "vit_s", COMPARED)
PATCH_PX = 14
PRECISIONS: dict[str, Precision] = {"float32": "float32", "bfloat16": "bfloat16", "int8": "int8"}
PASSED = ("onnxruntime", "openvino", "onnxruntime-int8", "openvino-bf16")  # AP within 0.5 points, see eval/LOG.md
STAND_IN = "a stand-in (torch encoder, distances to the whole bank), not anomalib: give --peer-python"


@dataclass(frozen=True, slots=True)
class Settings:
    """What all measurements share."""

    rounds: int
    threads: int
    cache: Path
    peer: Path | None
    pictures: list[np.ndarray]


@dataclass(frozen=True, slots=True)
class Measured:
    """One network with one number of cameras. ``ticks``: engine -> one cost a round; ``others``: what ran beside;
    ``convolutions``: their share of the network's operations."""

    ticks: Mapping[str, list[TickCost]]
    others: Mapping[str, Timing]
    convolutions: float = 0.0

    def tick_ms(self, engine: str) -> float:
        return float(np.median([cost.total_ms for cost in self.ticks[engine]]))

    def outside(self, engine: str) -> float:
        return float(np.median([cost.outside for cost in self.ticks[engine]]))

    def of_limit(self, engine: str) -> float | None:
        """Share of the time of this machine's matrix products in the pass, least disturbed rounds."""
        limit = self.others.get(f"limit {ENGINES[engine].precision}")
        if limit is None:
            return None
        return limit.best_ms / (1 - self.convolutions) / min(cost.pass_ms for cost in self.ticks[engine])

    def fastest(self, engines: Sequence[str]) -> str | None:
        there = [name for name in engines if name in self.ticks]
        return min(there, key=self.tick_ms, default=None)

    def as_json(self) -> dict[str, Any]:
        best = self.fastest(list(self.ticks))
        stages = [cost.stages_ms for cost in self.ticks[best]] if best is not None else []
        return {
            "hz": {name: round(1e3 / self.tick_ms(name), 2) for name in self.ticks},
            "tick_ms": {name: round(self.tick_ms(name), 2) for name in self.ticks},
            "pass_ms": {k: round(float(np.median([c.pass_ms for c in v])), 2) for k, v in self.ticks.items()},
            "bev_ms_a_tick": {k: round(float(np.median([c.bev_ms for c in v])), 2) for k, v in self.ticks.items()},
            "share_outside_network": {name: round(self.outside(name), 4) for name in self.ticks},
            "of_gemm_limit": {k: None if (v := self.of_limit(k)) is None else round(v, 3) for k in self.ticks},
            "stages": {"engine": best}
            | {k: round(float(np.median([s.get(k, 0.0) for s in stages])), 3) for k in (stages[0] if stages else ())},
            "others": {name: asdict(timing) for name, timing in self.others.items()},
        }


def measure(name: str, cameras: int, settings: Settings) -> tuple[dict[str, Measured], dict[str, str]]:
    """Network ``name``, and beside it what it is compared with; also under which name each peer ran."""
    things: dict[str, Callable[[], object]] = {}
    tickers: dict[tuple[str, str], Ticker] = {}
    told: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for network in (name, TOKENS_B) if (name, cameras) == (COMPARED, 1) else (name,):
            engines = dict(_engines(network, settings))
            if not engines:
                raise UsageError(
                    f"no engine runs {network} as {settings.cache} keeps it; if it is of an earlier making, delete "
                    "that folder and run again"
                )
            pictures = _stack(settings, len(settings.pictures))
            store = networks.bank_for(network, next(iter(engines.values())), pictures, folder / network)
            for engine_name, engine in engines.items():
                ticker = tickers[network, engine_name] = Ticker(engine, store, settings.pictures, cameras)
                things[f"{network} {engine_name}"] = ticker
            if network == TOKENS_B:
                peer, told["anomalydino"] = _anomalydino(store, settings)
                things["anomalydino"] = stack.enter_context(peer) if isinstance(peer, AnomalyDino) else peer
        products = products_of(open_bundle(networks.bundle_of(name, settings.cache)).network, cameras)
        for precision in {ENGINES[engine].precision for _, engine in tickers} & PRECISIONS.keys():
            things[f"limit {precision}"] = run_products(products, PRECISIONS[precision])
        if name != MINI and cameras == 1:
            network_ = networks.network_of(name)
            things["torch"] = networks.torch_eager(network_, _stack(settings, 1))
            if name == COMPARED:
                things["depth_anything"] = networks.depth_anything(network_, _stack(settings, 1))
                things["lift_splat"] = networks.lift_splat_alone(network_, _stack(settings, 1))
                told["depth_anything"] = f"transformers {metadata.version('transformers')}, random weights"
        times = interleaved(things, settings.rounds)
    others = {key: timing for key, timing in times.items() if not isinstance(things[key], Ticker)}
    found = {}
    for network in dict.fromkeys(network for network, _ in tickers):
        of_engine = {e: t.costs[-settings.rounds :] for (n, e), t in tickers.items() if n == network}
        found[network] = Measured(of_engine, others if network == name else {}, convolution_share(products))
    return found, told


def _anomalydino(store: BankStore, settings: Settings) -> tuple[AnomalyDino | Callable[[], object], str]:
    prototypes = PrototypeIndex(store.load()[0]).prototypes
    network, picture = networks.network_of(TOKENS_B), _stack(settings, 1)
    if settings.peer is None:
        return networks.anomalydino_way(network, picture, prototypes), STAND_IN
    peer = AnomalyDino(settings.peer, network.backbone, picture[0], prototypes, settings.threads)
    versions = ", ".join(f"{package} {version}" for package, version in peer.versions.items())
    return peer, f"AnomalyDINO of {versions}, encoder {network.backbone} with random weights"


def _engines(name: str, settings: Settings) -> Iterator[tuple[str, Engine]]:
    bundle = open_bundle(networks.bundle_of(name, settings.cache))
    for engine in ENGINES:
        with contextlib.suppress(AirsideError):  # absent() says why
            yield engine, load_named(engine, bundle, settings.threads).engine


def absent(settings: Settings) -> dict[str, str]:
    """Engine -> why it does not run here."""
    bundle, found = open_bundle(networks.bundle_of(MINI, settings.cache)), {}
    for engine in ENGINES:
        try:
            load_named(engine, bundle, settings.threads)
        except AirsideError as error:
            found[engine] = str(error)
    return found


def ratios(found: Mapping[str, Mapping[int, Measured]]) -> dict[str, Any]:
    """How many times faster airside's whole tick is than what others would run, with ViT-B and one camera."""
    told: dict[str, Any] = {
        "of_gemm_limit": {name: {n: m.as_json()["of_gemm_limit"] for n, m in of.items()} for name, of in found.items()}
    }
    if 1 in found.get(COMPARED, {}):
        whole, tokens = found[COMPARED][1], found[TOKENS_B][1]
        novelty = whole.others["anomalydino"].median_ms
        assembled = novelty + whole.others["depth_anything"].median_ms + whole.others["lift_splat"].median_ms
        told["vs_anomalydino_vitb"] = {e: round(novelty / tokens.tick_ms(e), 3) for e in tokens.ticks}
        told["vs_anomalydino_with_all_branches"] = {e: round(novelty / whole.tick_ms(e), 3) for e in whole.ticks}
        told["vs_assembled"] = {e: round(assembled / whole.tick_ms(e), 3) for e in whole.ticks}
    return told


def aims(found: Mapping[str, Mapping[int, Measured]]) -> Iterator[Aim]:
    """The rows that were measured. Reduced precision counts where it is among :data:`PASSED`."""
    ratio, float32 = ratios(found), [name for name in PASSED if engine_kind(name).precision == "float32"]
    for name, most in (("vit_s", 0.15), (COMPARED, 0.10)):
        shares = [m.outside(e) for m in found.get(name, {}).values() if (e := m.fastest(PASSED)) is not None]
        if shares:
            yield Aim(f"outside the network, {name}, fastest engine, worst number of cameras", most, max(shares))
    for key, wanted, exact in (("vs_anomalydino_vitb", 3.0, 1.2), ("vs_assembled", 6.0, 2.2)):
        if key in ratio:
            yield Aim(f"{key}, best precision", wanted, max(v for e, v in ratio[key].items() if e in PASSED), True)
            yield Aim(f"{key}, float32", exact, max(v for e, v in ratio[key].items() if e in float32), True)
    for name, of in found.items():
        shares = [v for m in of.values() for e in m.ticks if e in PASSED and (v := m.of_limit(e)) is not None]
        if shares:
            yield Aim(f"of the GEMM limit, {name}, best engine", 0.6, max(shares), True)
    for name, cameras, hz in ((MINI, 6, 5.0), (TOKENS_B, 1, 4.0)):
        measured = found.get(name, {}).get(cameras)
        if measured is not None and (best := measured.fastest(PASSED)) is not None:
            yield Aim(f"Hz, {name}, {cameras} cameras, {best}", hz, 1e3 / measured.tick_ms(best), True)


def _stack(settings: Settings, count: int) -> np.ndarray:
    """[count, H, W, 3] uint8 at the networks' size."""
    return np.stack([fit_to_network(picture, *SIZE_PX, PATCH_PX).image for picture in settings.pictures[:count]])


def _pictures(count: int) -> list[np.ndarray]:
    """Frames of the embedded drive."""
    with open_camera(str(embedded_demo() / "drive")) as camera:
        return [frame.image for frame, _ in zip(camera.frames(), range(count), strict=False)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", required=True)
    parser.add_argument("--networks", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--cameras", nargs="+", type=int, default=[1, 6, 8])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer-python", type=Path, metavar="PATH", help="interpreter that has anomalib 2.7")
    parser.add_argument("--cache", type=Path, default=Path("out/latency"), help="where exported networks are kept")
    args = parser.parse_args()
    if min(args.cameras) < 1 or args.rounds < 1:
        raise UsageError("--cameras and --rounds: wanted numbers from 1 on")
    torch.set_num_threads(args.threads)
    args.cache.mkdir(parents=True, exist_ok=True)
    settings = Settings(args.rounds, args.threads, args.cache, args.peer_python, _pictures(20))
    start, load = time.monotonic(), os.getloadavg()[0]
    found: dict[str, dict[int, Measured]] = {}
    peers: dict[str, str] = {}
    for name in args.networks:
        for cameras in args.cameras:
            measured, told = measure(name, cameras, settings)
            peers |= told
            for network, values in measured.items():
                found.setdefault(network, {})[cameras] = values
                print(json.dumps({f"{network}, {cameras} cameras, Hz": values.as_json()["hz"]}), flush=True)
    details = {name: {n: m.as_json() for n, m in of.items()} for name, of in found.items()}
    reached = [aim.as_json() for aim in aims(found)]
    report = {
        "machine": {"processor": processor(), "threads": args.threads, "load_before": load},
        "rounds": args.rounds,
        "peers": peers,
        "absent": absent(settings),
        **{
            key: {name: {n: values[key] for n, values in of.items()} for name, of in details.items()}
            for key in ("hz", "share_outside_network", "stages")
        },
        "ratio": ratios(found),
        "aims": reached,
        "networks": details,
    }
    write_json(args.json, report)
    print("\n".join([*map(aim_line, reached), f"{time.monotonic() - start:.0f} s, a load of {load:.1f} before"]))


if __name__ == "__main__":
    try:
        main()
    except AirsideError as error:
        print(f"eval.latency: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
