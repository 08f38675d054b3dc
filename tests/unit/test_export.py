"""A backbone becomes a bundle that repeats it, whoever named its weights, and goes all the way to a run."""

from __future__ import annotations

import functools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import Dinov2Config, Dinov2Model

from airside import export
from airside.cli import main
from airside.engine.bev_spec import BevSpec
from airside.engine.bundle import Manifest, open_bundle
from airside.engine.fused import open_fused
from airside.engine.onnx import load_engine
from airside.errors import MismatchError, UsageError
from airside.geometry.bev_grid import BevGrid
from airside.geometry.bev_view import bev_view
from airside.geometry.camera_model import PinholeCamera
from airside.geometry.splat_table import DepthBins, NetworkRig
from airside.geometry.transforms import ego_from_mounted_cam
from airside.model import FeatureSpec, backbone, load_backbone, random_backbone
from airside.model.bev import LiftSplat
from prototypes.__main__ import main as prototypes_main

NAME = "vit_small_patch14_dinov2"
TINY = {"embed_dim": 32, "depth": 2, "num_heads": 2}
TRAINED_GRID = 37
RIGS = Path(__file__).parents[2] / "configs" / "rigs"


def _official(folder: Path) -> Path:
    """Meta's layout: the pickle that one downloads, and its conversion by the command."""
    torch.manual_seed(1)
    state = random_backbone(NAME, image_size=(TRAINED_GRID * 14, TRAINED_GRID * 14), **TINY).network.state_dict()
    torch.save({"mask_token": torch.zeros(1, 32), **state}, folder / "dinov2_vits14_pretrain.pth")
    assert main(["convert", str(folder / "dinov2_vits14_pretrain.pth"), str(folder / "official.safetensors")]) == 0
    return folder / "official.safetensors"


def _timm(folder: Path) -> Path:
    torch.manual_seed(2)
    state = random_backbone(NAME, image_size=(TRAINED_GRID * 14, TRAINED_GRID * 14), **TINY).network.state_dict()
    save_file(state, folder / "timm.safetensors")
    return folder / "timm.safetensors"


def _hugging_face(folder: Path) -> Path:
    torch.manual_seed(3)
    config = Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=TRAINED_GRID * 14, patch_size=14
    )
    save_file(Dinov2Model(config).state_dict(), folder / "hf.safetensors")
    return folder / "hf.safetensors"


LAYOUTS = {"official": _official, "timm": _timm, "hugging face": _hugging_face}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone, "load_backbone", functools.partial(load_backbone, **TINY))


@pytest.mark.usefixtures("tiny", "egl")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_whole_way_from_weights_to_a_run(
    layout: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, bundle, bank, out = LAYOUTS[layout](tmp_path), tmp_path / "bundle", tmp_path / "bank", tmp_path / "out"
    assert main(["export", "--backbone", NAME, "--weights", str(weights), "--out", str(bundle)]) == 0
    rendered = tmp_path_factory.getbasetemp() / "rendered"
    few = ["--worlds", "3", "--calibration-worlds", "1", "--alpha", "0.1", "--cache", str(rendered)]
    assert prototypes_main(["build", "--model", str(bundle), "--out", str(bank), *few]) == 0
    frames = tmp_path / "frames"
    frames.mkdir()
    for k in range(2):
        picture = np.random.default_rng(k).integers(0, 256, (224, 392, 3), np.uint8)
        cv2.imwrite(str(frames / f"{k}.png"), picture)
    assert main(["run", str(frames), "--model", str(bundle), "--bank", str(bank), "--out", str(out)]) == 0
    records = [json.loads(line) for line in (out / "alerts.jsonl").read_text().splitlines()]
    assert len(records) == 2
    assert {r["model_fingerprint"] for r in records} == {open_bundle(bundle).manifest.fingerprint}


@pytest.mark.parametrize("feature", ["last", "keys", "blocks:0,1"])
def test_the_bundle_repeats_the_backbone(feature: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = random_backbone(NAME, image_size=(56, 98), **TINY)
    spec = FeatureSpec.parse(feature)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    manifest = export.export_backbone(network, spec, tmp_path / "bundle", trained_on="nothing", licence="none")
    assert all((network.state_dict()[key] == value).all() for key, value in before.items())
    images = np.random.default_rng(9).integers(0, 256, (3, 56, 98, 3), np.uint8)
    mean, std = torch.tensor(network.mean), torch.tensor(network.std)
    with torch.no_grad():
        x = ((torch.from_numpy(images) / 255 - mean) / std).permute(0, 3, 1, 2)
        wanted = nn.functional.normalize(network.features(x, spec), dim=-1).numpy()
    got = load_engine(tmp_path / "bundle", threads=1).tokens(images)
    assert got.shape == (3, 4, 7, manifest.token_width) == wanted.shape
    np.testing.assert_allclose(got, wanted, atol=1e-4)
    assert np.abs(load_engine(tmp_path / "bundle", threads=1).tokens(255 - images) - got).max() > 0.01
    assert manifest.feature.startswith(feature)


def test_what_onnxruntime_does_not_repeat_is_not_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_backbone(NAME, image_size=(28, 28), **TINY)
    monkeypatch.setattr(export.parity, "TOLERANCE", -1.0)
    with pytest.raises(MismatchError, match="not exported"):
        export.export_backbone(network, FeatureSpec(), tmp_path / "bundle", trained_on="nothing", licence="none")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "bundle").mkdir()
    with pytest.raises(UsageError, match="exists"):
        export.export_backbone(network, FeatureSpec(), tmp_path / "bundle", trained_on="nothing", licence="none")


class DecidesByBatch(nn.Module):
    """Looks at the number of pictures as a plain number, which ties an export to it."""

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.inner = graph

    def forward(self, images: Tensor) -> Tensor:
        seen = {images.shape[0]}
        tokens: Tensor = self.inner(images)
        return tokens * len(seen)


def test_an_export_tied_to_a_number_of_cameras_is_refused(tmp_path: Path) -> None:
    graph = DecidesByBatch(DepthGraph().tokens)
    manifest = replace(MANIFEST, outputs=("tokens",), depth_focal_px=None)
    with pytest.raises(MismatchError, match="fixed axis 0 of images"):
        export.write_bundle(graph, tmp_path / "bundle", manifest)
    assert list(tmp_path.iterdir()) == []


class DepthGraph(nn.Module):
    """Tokens of a tiny backbone, and a depth of half its size that follows the picture."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        network = random_backbone(NAME, image_size=(28, 56), **TINY)
        self.tokens = export.TokensGraph(network, FeatureSpec())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        grey = images.float().mean(dim=-1)
        return self.tokens(images), 4 + nn.functional.avg_pool2d(grey[:, None], 2)[:, 0] / 10


MANIFEST = Manifest(
    "deep", 28, 56, 14, 32, "last", ("tokens", "depth"), "native", "nothing", "none", "", "", depth_focal_px=98.0
)


def _head(cameras: int = 3, *, height: int = 28) -> LiftSplat:
    torch.manual_seed(1)
    camera = PinholeCamera(fx=28.0, fy=28.0, cx=27.5, cy=height / 2 - 0.5, width=56, height=height)
    poses = [ego_from_mounted_cam((0.0, 0.0, 2.0), yaw_deg=90.0 * n, pitch_deg=10, roll_deg=0) for n in range(cameras)]
    grid, bins = BevGrid(16, 16, 1.0), DepthBins((2.0, 3.0, 5.0, 9.0))
    return LiftSplat(32, NetworkRig([camera] * cameras, poses, 14), grid=grid, bins=bins, channels=8)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("full") / "bundle"
    export.write_bundle(DepthGraph(), path, MANIFEST, _head())
    return path


def test_depth_and_birds_eye_view_are_repeated_for_any_rig(full: Path) -> None:
    engine, head = load_engine(full, threads=1), _head()
    spec = engine.manifest.bev
    assert spec == BevSpec(head.grid, head.bins, head.height_range_m, head.layers)
    assert engine.manifest.outputs == ("tokens", "depth", "bev")
    assert engine.manifest.depth_focal_px == 98.0
    images = np.random.default_rng(3).integers(0, 256, (2, 28, 56, 3), np.uint8)
    found = engine.outputs(images)
    with torch.no_grad():
        tokens, depth = DepthGraph()(torch.from_numpy(images))
    np.testing.assert_allclose(found.tokens, tokens, atol=1e-4)
    np.testing.assert_allclose(found.depth, depth, rtol=1e-4)
    for cameras in (1, 2):
        rig = _head(cameras).rig
        view = bev_view(rig, spec.grid, spec.bins, spec.height_range_m)
        maps = engine.bev(found.tokens[:cameras], view)
        with torch.no_grad():
            layers, probability = head.with_rig(rig)(torch.from_numpy(found.tokens[None, :cameras]))
        np.testing.assert_allclose(maps.layers, layers[0].sigmoid(), atol=1e-4)
        np.testing.assert_allclose(maps.depth_probability, probability[0], atol=1e-4)


def test_no_output_that_differs_is_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = export.parity.differences
    monkeypatch.setattr(export.parity, "differences", lambda *a: real(*a) | {"bev": float("nan")})
    with pytest.raises(MismatchError, match=r"onnxruntime's bev differs from torch's by nan"):
        export.write_bundle(DepthGraph(), tmp_path / "bundle", MANIFEST, _head(1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "head", "words"),
    [
        ({"depth_focal_px": None}, None, "depth_focal_px go together"),
        ({"outputs": ("tokens", "bev")}, None, "declares bev, but only tokens, depth"),
        ({"token_width": 16}, 28, r"of width 32, deep gives \[2, 4\] of width 16"),
        ({}, 42, r"takes \[3, 4\] patches"),
    ],
)
def test_parts_that_do_not_belong_together(
    changes: dict[str, object], head: int | None, words: str, tmp_path: Path
) -> None:
    bev = None if head is None else _head(height=head)
    with pytest.raises(UsageError, match=words):
        export.write_bundle(DepthGraph(), tmp_path / "bundle", replace(MANIFEST, **changes), bev)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_focal_length_without_depth_is_refused(tmp_path: Path) -> None:
    manifest = replace(MANIFEST, outputs=("tokens",))
    with pytest.raises(UsageError, match="gives tokens, depth_focal_px is 98"):
        export.write_bundle(DepthGraph().tokens, tmp_path / "bundle", manifest)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--backbone", "resnet50"], 2, "wanted one of"),
        (["--backbone", NAME, "--size", "224"], 2, "HEIGHTxWIDTH"),
        (["--backbone", NAME, "--size", "225x392"], 2, "multiples of 14"),
        (["--backbone", NAME, "--feature", "first"], 2, "wanted last"),
        (["--backbone", NAME, "--weights", "missing.safetensors"], 3, "no weights file"),
        (["--backbone", NAME, "--weights", "dinov2_vits14_pretrain.pth"], 3, "airside convert"),
    ],
)
def test_export_refuses(
    arguments: list[str], code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *arguments, "--out", str(tmp_path / "bundle")]) == code
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", [["export", "--backbone", NAME, "--out", "x"], ["convert", "a.pth", "b.safetensors"]]
)
def test_a_vehicle_without_torch_is_told_what_to_install(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(command) == 8
    assert "pip install 'airside[model]'" in capsys.readouterr().err


@pytest.mark.usefixtures("tiny")
def test_a_vehicles_graph_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights, bundle, rig = _timm(tmp_path), tmp_path / "bundle", RIGS / "apron6.yaml"
    size = ["--size", "56x98", "--out", str(bundle)]
    assert main(["export", "--backbone", NAME, "--weights", str(weights), "--fused", str(rig), *size]) == 0
    assert "6 cameras, 2 attentions to fuse" in capsys.readouterr().out
    made, opened = open_bundle(bundle), open_fused(open_bundle(bundle))
    assert (opened.cameras, opened.attentions, list(opened.stored.outputs)) == (6, 2, ["tokens"])
    assert main(["export", "--backbone", NAME, "--weights", str(weights), "--fused", str(rig), *size]) == 2
    assert "exists; delete it first" in capsys.readouterr().err

    shutil.rmtree(bundle / "fused")
    other = ["--fused", str(RIGS / "front.yaml"), *size]
    torch.manual_seed(9)
    strange = random_backbone(NAME, image_size=(TRAINED_GRID * 14, TRAINED_GRID * 14), **TINY).network.state_dict()
    save_file(strange, tmp_path / "strange.safetensors")
    assert main(["export", "--backbone", NAME, "--weights", str(tmp_path / "strange.safetensors"), *other]) != 0
    assert "tokens is not the bundle's" in capsys.readouterr().err
    assert not (bundle / "fused").exists()
    assert main(["export", "--backbone", NAME, "--weights", str(weights), "--precision", "float32", *other]) == 0
    assert open_fused(open_bundle(bundle)).cameras == 1
    assert open_bundle(bundle).manifest == made.manifest
