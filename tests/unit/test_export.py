"""A backbone becomes a bundle that repeats it, whoever named its weights, and goes all the way to a run."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import Dinov2Config, Dinov2Model

from airside import export
from airside.cli import main
from airside.engine.bundle import open_bundle
from airside.engine.onnx import load_engine
from airside.errors import MismatchError, UsageError
from airside.model import FeatureSpec, backbone, load_backbone, random_backbone
from prototypes.__main__ import main as prototypes_main

NAME = "vit_small_patch14_dinov2"
TINY = {"embed_dim": 32, "depth": 2, "num_heads": 2}
TRAINED_GRID = 37


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
    monkeypatch.setattr(export, "PARITY_TOLERANCE", -1.0)
    with pytest.raises(MismatchError, match="not exported"):
        export.export_backbone(network, FeatureSpec(), tmp_path / "bundle", trained_on="nothing", licence="none")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "bundle").mkdir()
    with pytest.raises(UsageError, match="exists"):
        export.export_backbone(network, FeatureSpec(), tmp_path / "bundle", trained_on="nothing", licence="none")


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
