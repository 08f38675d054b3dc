"""What a training keeps for the next: all weights but those of single assets, and no other network's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from airside.errors import InputError, MismatchError
from tests.mini_data import TINY
from training import start
from training.mini import Model
from training.start import kept_from_checkpoint, start_from


def test_the_next_training_starts_where_the_last_one_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    last, average, following = Model(TINY, 9), Model(TINY, 9).network, Model(TINY, 12)
    torch.save({"model": last.state_dict(), "average": average.state_dict()}, tmp_path / "checkpoint.pt")
    out = tmp_path / "deep" / "kept.safetensors"
    monkeypatch.setattr("sys.argv", ["start", "--checkpoint", str(tmp_path / "checkpoint.pt"), "--out", str(out)])
    assert start.main() == 0
    assert "MB" in capsys.readouterr().out
    before = following.assets.weight.clone()
    start_from(out, following)
    wanted = {f"network.{k}": v for k, v in average.state_dict().items()} | {
        k: v for k, v in last.state_dict().items() if not k.startswith(("network.", "assets."))
    }
    got = following.state_dict()
    for name, value in wanted.items():
        torch.testing.assert_close(got[name], value, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(got["assets.weight"], before, atol=0, rtol=0)


def test_other_files_are_refused(tmp_path: Path) -> None:
    model = Model(TINY, 3)
    with pytest.raises(InputError, match=r"training\.start"):
        start_from(tmp_path / "no.safetensors", model)
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    with pytest.raises(InputError, match="cannot be read"):
        start_from(tmp_path / "torn.safetensors", model)
    kept = kept_from_checkpoint({"model": model.state_dict(), "average": model.network.state_dict()})
    for change in ({"families.weight": kept["families.weight"][:-1].clone()}, {"network.more": torch.zeros(1)}):
        save_file({**kept, **change}, tmp_path / "other.safetensors")
        with pytest.raises(MismatchError, match="another network"):
            start_from(tmp_path / "other.safetensors", model)
    save_file({k: v for k, v in kept.items() if k != "families.weight"}, tmp_path / "less.safetensors")
    with pytest.raises(MismatchError, match=r"families\.weight"):
        start_from(tmp_path / "less.safetensors", model)
    assert load_file(tmp_path / "less.safetensors")


def test_a_missing_checkpoint_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["start", "--checkpoint", str(tmp_path / "no.pt"), "--out", str(tmp_path / "x")])
    assert start.main() != 0
    assert "does not exist" in capsys.readouterr().err
