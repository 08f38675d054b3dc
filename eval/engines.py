"""The same numbers on every engine: ``python -m eval.engines --json FILE [--networks ...] [--frames 300 --cache DIR]``

Two things. Parity: the embedded network's architecture, ViT-S and ViT-B with random weights, at two sizes, every output
of every float32 engine beside torch's. Detections: the embedded model on the apron benchmark's test frames, every
engine beside onnxruntime in float32: frames whose regions differ in number, name or place, and pixel AP, which reduced
precision may lower by half a point. Minutes on two cores; ``--cache`` keeps the rendered frames of ``eval.apron``.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timm.models.vision_transformer import LayerScale
from torch import Tensor, nn

from airside.assets import embedded_bank, embedded_model
from airside.bank.store import BankStore
from airside.engine.bundle import Bundle, Manifest, open_bundle
from airside.engine.engine import Engine
from airside.engine.engines import DEFAULT_ENGINE, ENGINES, load_named
from airside.engine.parity import measured_for
from airside.errors import AirsideError
from airside.export import write_bundle
from airside.geometry.bev_view import BevView, bev_view
from airside.messages import Region
from airside.model.bev import LiftSplat, depth_probability_from_metric
from airside.pipeline import DEFAULT_METHOD, knowledge_from_bank
from eval.aims import Aim, aim_line
from eval.apron import rendered, see, unknown_instances
from eval.apron_protocol import Protocol
from eval.latency_networks import torch_networks
from eval.metrics.pixel import PixelAccumulator
from eval.report_file import write_json
from eval.tensorrt_gate import NETWORKS, rig
from training.export_mini import Exported
from training.network import Mini, MiniConfig

MINI = "airside-mini"
SIZES = ((224, 392), (280, 504))
RELATIVE, AP_MAY_FALL = 1e-3, 0.005
SAME_PX = 1.0  # of a box's edges, in the picture's pixels


@dataclass(frozen=True, slots=True)
class Made:
    """Torch's network and head for ``view``'s two cameras, and the same as a bundle."""

    graph: nn.Module
    head: LiftSplat
    bundle: Bundle
    view: BevView


def made(name: str, size_px: tuple[int, int], folder: Path) -> Made:
    """Network ``name`` with random weights at ``size_px``, every block counting."""
    height, width = size_px
    torch.manual_seed(height)
    if name == MINI:
        mini = Mini(MiniConfig(height_px=height, width_px=width)).eval()
        graph: nn.Module = Exported(_awake(mini))
        head, token_width = mini.bev, mini.config.width
    else:
        both, head = torch_networks(NETWORKS[name], size_px)
        graph, token_width = _awake(both), both.tokens.backbone.width
    manifest = Manifest(
        name=name,
        height_px=height,
        width_px=width,
        patch_px=14,
        token_width=token_width,
        feature="last block, final norm, unit length",
        outputs=("tokens", "depth", "bev"),
        position_embedding="native",
        trained_on="nothing: random weights",
        licence="none",
        network_sha256="",
        parity_sha256="",
        depth_focal_px=width / 2,
    )
    two = rig(2, size_px)
    write_bundle(graph, folder / "model", manifest, head.with_rig(rig(1, size_px)))
    view = bev_view(two, head.grid, head.bins, head.height_range_m)
    return Made(graph, head.with_rig(two), open_bundle(folder / "model"), view)


def _awake(network: nn.Module) -> nn.Module:
    """Layers that start at zero or at 1e-5 would hide what is behind them."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, LayerScale):
                module.gamma.uniform_(0.1, 0.3)
        for name, value in network.named_parameters():
            if "detail" in name:
                value.copy_(torch.rand_like(value) * 0.2)
    return network


def parity(name: str, size_px: tuple[int, int], engines: Sequence[str]) -> dict[str, dict[str, float] | str]:
    """Engine -> output -> largest difference from torch over torch's largest value; or why it does not run."""
    with tempfile.TemporaryDirectory() as folder:
        given = made(name, size_px, Path(folder))
        coarse = np.random.default_rng(1).integers(0, 256, (2, size_px[0] // 28, size_px[1] // 28, 3), np.uint8)
        images = coarse.repeat(28, axis=1).repeat(28, axis=2)
        with torch.inference_mode():
            tokens, depth = given.graph(torch.from_numpy(images))
            seen = given.head(
                tokens[None],
                measured=depth_probability_from_metric(depth[None], given.head.rig.patch_grid, given.head.bins),
            )
        wanted = _named(tokens, depth, seen.layers[0].sigmoid(), _present(seen.depth_probability)[0])
        found: dict[str, dict[str, float] | str] = {}
        for engine_name in engines:
            try:
                engine = load_named(engine_name, given.bundle).engine
            except AirsideError as error:
                found[engine_name] = str(error)
                continue
            out = engine.outputs(images)
            assert out.depth is not None
            measured = measured_for({"depth": out.depth}, given.view)
            maps = engine.bev(out.tokens, given.view, measured)
            came = dict(zip(wanted, (out.tokens, out.depth, maps.layers, maps.depth_probability), strict=True))
            found[engine_name] = {key: _relative(came[key], value) for key, value in wanted.items()}
            del engine
            gc.collect()  # a ViT-B is large
    return found


def _named(*values: Tensor) -> dict[str, np.ndarray]:
    names = ("tokens", "depth", "bev", "depth_probability")
    return {name: value.numpy() for name, value in zip(names, values, strict=True)}


def _present(value: Tensor | None) -> Tensor:
    assert value is not None
    return value


def _relative(came: np.ndarray | None, wanted: np.ndarray) -> float:
    if came is None or came.shape != wanted.shape:
        return float("inf")
    return float(np.abs(came - wanted).max() / np.abs(wanted).max())


@dataclass
class Beside:
    """One engine's detections beside the reference's, summed over frames."""

    frames: int = 0
    frames_that_differ: int = 0
    regions: int = 0
    regions_that_differ: int = 0
    pixels: PixelAccumulator = field(default_factory=PixelAccumulator)

    def add(self, wanted: Sequence[Region], came: Sequence[Region]) -> None:
        odd = len(unmatched(wanted, came)) + len(unmatched(came, wanted))
        self.frames += 1
        self.frames_that_differ += odd > 0
        self.regions += len(wanted)
        self.regions_that_differ += odd

    def as_json(self) -> dict[str, Any]:
        pixel = self.pixels.compute()
        scores = {} if pixel is None else {"ap": pixel.ap, "fpr95": pixel.fpr95}
        counts = ("frames", "frames_that_differ", "regions", "regions_that_differ")
        return {**{name: getattr(self, name) for name in counts}, **scores}


def unmatched(regions: Sequence[Region], others: Sequence[Region]) -> list[Region]:
    """Those of ``regions`` that have no equal of their own among ``others``: same name, box within a pixel."""
    left, alone = list(others), []
    for region in regions:
        same = (k for k, other in enumerate(left) if _same(region, other))
        number = next(same, None)
        if number is None:
            alone.append(region)
        else:
            del left[number]
    return alone


def _same(a: Region, b: Region) -> bool:
    return a.name == b.name and bool(np.abs(np.subtract(a.box_px, b.box_px)).max() <= SAME_PX)


def detections(frames: int, cache: Path | None, workers: int, engines: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Engine -> what it detects on the apron's test frames, beside :data:`DEFAULT_ENGINE`, which comes first."""
    bundle, loaded = open_bundle(embedded_model()), dict[str, Engine]()
    for name in dict.fromkeys((DEFAULT_ENGINE, *engines)):
        with contextlib.suppress(AirsideError):
            loaded[name] = load_named(name, bundle).engine
    way = knowledge_from_bank(BankStore(embedded_bank()).load()[0], "", DEFAULT_METHOD)
    found = {name: Beside() for name in loaded}
    plans = replace(Protocol(), frames=frames).test_plans()
    for frame in rendered(plans, "worlds with unknown objects", workers, cache):
        truth = np.isin(frame.instance, list(unknown_instances(frame))).astype(np.uint8)
        wanted: tuple[Region, ...] | None = None
        for name, engine in loaded.items():
            seen = see(engine.tokens(frame.rgb[None])[0], frame.rgb, way, bundle.manifest.patch_px)
            wanted = seen.regions if wanted is None else wanted
            found[name].add(wanted, seen.regions)
            found[name].pixels.add(seen.pixel_score, truth)
    return {name: beside.as_json() for name, beside in found.items()}


def aims(told: dict[str, Any]) -> Iterator[Aim]:
    """The rows of what was measured."""
    worst = [v for of in told["parity"].values() for got in of.values() if isinstance(got, dict) for v in got.values()]
    if worst:
        yield Aim("parity of float32 engines, worst relative difference from torch", RELATIVE, max(worst))
    seen = told["detections"]
    for name, got in seen.items():
        if name != DEFAULT_ENGINE and ENGINES[name].precision == "float32":
            yield Aim(f"regions that differ, {name}", 0, got["regions_that_differ"])
        elif name != DEFAULT_ENGINE:
            yield Aim(f"AP lost, {name}", AP_MAY_FALL, seen[DEFAULT_ENGINE]["ap"] - got["ap"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", required=True)
    parser.add_argument("--networks", nargs="*", choices=(MINI, *NETWORKS), default=[MINI, *NETWORKS])
    parser.add_argument("--frames", type=int, default=Protocol().frames, help="0: no detections")
    parser.add_argument("--cache", type=Path, help="folder that keeps the rendered frames")
    parser.add_argument("--workers", type=int, default=0)
    args = parser.parse_args()
    exact = [name for name, kind in ENGINES.items() if kind.precision == "float32"]
    told: dict[str, Any] = {"parity": {}, "detections": {}}
    for name in args.networks:
        for size in SIZES:
            told["parity"][f"{name} {size[0]}x{size[1]}"] = found = parity(name, size, exact)
            print(json.dumps({f"{name} {size[0]}x{size[1]}": found}), flush=True)
    if args.frames > 0:
        reduced = [name for name, kind in ENGINES.items() if kind.precision in ("int8", "bfloat16")]
        told["detections"] = detections(args.frames, args.cache, args.workers, [*exact, *reduced])
    rows = [aim.as_json() for aim in aims(told)]
    write_json(args.json, {**told, "aims": rows})
    print("\n".join([json.dumps(told["detections"], indent=1), *map(aim_line, rows)]))


if __name__ == "__main__":
    main()
