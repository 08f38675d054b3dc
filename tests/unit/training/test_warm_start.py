"""An exported bundle gives back the weights it was made from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.export_mini import export
from training.network import MiniConfig, build_mini
from training.warm_start import weights_of_bundle

SMALL = MiniConfig(height_px=28, width_px=42, width=32, depth=2, heads=2)


def test_a_bundle_gives_back_every_weight(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(3)
    network = build_mini(SMALL).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.1)
    wanted = {name: value.clone() for name, value in network.state_dict().items()}
    export(network, tmp_path / "bundle", "tiny", "nothing", SMALL)
    got = weights_of_bundle(tmp_path / "bundle")
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(got[name], value, atol=1e-5, rtol=1e-4, msg=lambda m, name=name: f"{name}: {m}")
