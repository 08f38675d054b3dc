"""Ways of adapting a trunk: what learns, and that it comes back as a plain trunk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from airside.errors import InputError, MismatchError
from tests.mini_data import RECIPE, TINY, write_world
from training import adaptation
from training.adaptation import WAYS, merged, trunk_weights
from training.mini import new_model, train
from training.network import Mini
from training.pool import Pool


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    folder = tmp_path_factory.mktemp("pictures")
    write_world(folder, 0)
    return Pool(folder, 1, torch.device("cpu"))


@pytest.mark.parametrize("way", list(WAYS))
def test_what_learns_is_what_the_way_says(
    way: str, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adaptation, "RANK", 4)
    monkeypatch.setattr(adaptation, "LAST_BLOCKS", 1)
    model = new_model(pool, RECIPE, TINY, torch.device("cpu"))
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    WAYS[way](model.network.trunk)
    plain = Mini(TINY)
    plain.load_state_dict(merged(train(model, pool, RECIPE, tmp_path)).state_dict())
    changed = {name for name, value in plain.state_dict().items() if not torch.equal(value, before[name])}
    qkv = {f"trunk.blocks.{block}.attn.qkv.weight" for block in range(2)}
    wanted = {"frozen": set(), "lora_last": {"trunk.blocks.1.attn.qkv.weight"}, "lora_all": qkv}
    trunk = {name for name in changed if name.startswith("trunk.")}
    assert trunk == wanted[way] if way in wanted else trunk > qkv
    assert "bev.adapter.weight" in changed
    if way.startswith("lora"):
        query, key, value = (plain.state_dict()["trunk.blocks.1.attn.qkv.weight"] - before[
            "trunk.blocks.1.attn.qkv.weight"]).chunk(3)  # fmt: skip
        assert query.abs().max() > 0
        assert value.abs().max() > 0
        assert key.abs().max() == 0


def test_a_checkpoint_without_a_trunk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        trunk_weights(tmp_path / "no.pt")
    torch.save({"average": {"depth.x": torch.zeros(1)}}, tmp_path / "other.pt")
    with pytest.raises(MismatchError, match="no trunk"):
        trunk_weights(tmp_path / "other.pt")
