"""``airside bank``: history, contents, the way back, and what verify says of damage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest

from airside.bank.store import BankStore
from tests.builders import tiny_bundle

Call = Callable[..., SimpleNamespace]


@pytest.fixture
def taught(shop: SimpleNamespace, airside: Call) -> SimpleNamespace:
    assert airside(*shop.register_words()).code == 0
    return shop


def test_log(taught: SimpleNamespace, airside: Call) -> None:
    lines = airside("bank", "log", "--bank", taught.bank).out.splitlines()
    assert [line.split()[0] for line in lines] == ["number", "2", "1"]
    told = json.loads(airside("bank", "log", "--bank", taught.bank, "--json").out)
    assert [s["number"] for s in told["snapshots"]] == [2, 1]
    assert told["snapshots"][0]["parent"] == told["snapshots"][1]["snapshot"]


def test_show(taught: SimpleNamespace, airside: Call) -> None:
    told = json.loads(airside("bank", "show", "--bank", taught.bank, "--json").out)
    assert told["snapshot"] == taught.store.head_id()
    assert [c["name"] for c in told["classes"]] == ["tarmac", "sky", "person", "tug"]
    assert told["classes"][2]["protected"] is True
    assert told["calibrations"][0]["threshold"] == 0.008
    assert told["guards"]["debris"] > 0
    assert "tug" in airside("bank", "show", "--bank", taught.bank).out
    assert "tug" not in airside("bank", "show", "1", "--bank", taught.bank).out


def test_contact_sheet(taught: SimpleNamespace, airside: Call) -> None:
    sheet = taught.path / "crops.png"
    assert airside("bank", "show", "--bank", taught.bank, "--crops", sheet).code == 0
    picture = cv2.imread(str(sheet))
    assert picture is not None
    assert picture.std() > 10
    assert airside("bank", "show", "--bank", taught.bank, "--crops", "crops.gif").code == 2


def test_rollback_and_diff(taught: SimpleNamespace, airside: Call) -> None:
    assert airside("bank", "diff", "1", "2", "--bank", taught.bank).out == "+ tug\n"
    told = json.loads(airside("bank", "rollback", "1", "--bank", taught.bank, "--json").out)
    assert told["number"] == 3
    assert taught.store.load()[0].names == ("tarmac", "sky", "person")
    same = json.loads(airside("bank", "diff", "1", "3", "--bank", taught.bank, "--json").out)
    assert same["is_empty"] is True
    assert airside("bank", "rollback", "77", "--bank", taught.bank).code == 2


def test_migrate(taught: SimpleNamespace, airside: Call) -> None:
    other = tiny_bundle(taught.path / "other", seed=3)
    refused = airside("run", taught.apron, "--bank", taught.bank, "--model", other, "--out", taught.path / "out")
    assert refused.code == 4
    assert f"airside bank migrate --bank {taught.bank} --model {other}" in refused.err
    moved = airside("bank", "migrate", "--bank", taught.bank, "--model", other)
    assert moved.code == 0
    assert "DEGRADED" in moved.out
    assert "debris" in moved.out  # guarded patches keep no pictures
    ran = airside("run", taught.apron, "--bank", taught.bank, "--model", other, "--out", taught.path / "out")
    assert ran.code == 0
    assert "no threshold" in ran.err
    assert "nothing to do" in airside("bank", "migrate", "--bank", taught.bank, "--model", other).out


def test_verify_tells_damage_from_order(taught: SimpleNamespace, airside: Call) -> None:
    assert airside("bank", "verify", "--bank", taught.bank).code == 0
    head = next((taught.bank / "snapshots").glob("000002-*"))
    data = bytearray(head.read_bytes())
    data[len(data) // 2] ^= 0xFF
    head.write_bytes(data)
    damaged = airside("bank", "verify", "--bank", taught.bank, "--json")
    assert damaged.code == 5
    told = json.loads(damaged.out)
    assert told["ok"] is False
    assert str(head) in told["problems"][0]
    ran = airside("run", taught.apron, *taught.common, "--out", taught.path / "out")
    assert ran.code == 5
    assert "rollback 1" in ran.err
    assert airside("bank", "rollback", "1", "--bank", taught.bank).code == 0
    assert airside("run", taught.apron, *taught.common, "--out", taught.path / "out").code == 0


def test_init_copies_and_never_overwrites(taught: SimpleNamespace, airside: Call, tmp_path: Path) -> None:
    own = tmp_path / "own"
    assert airside("bank", "init", "--bank", own, "--from", taught.bank).code == 0
    assert BankStore(own).load()[0].names == ("tarmac", "sky", "person", "tug")
    again = airside("bank", "init", "--bank", own, "--from", taught.bank)
    assert again.code == 2
    assert "already holds a bank" in again.err


def test_the_embedded_bank_is_not_changed(
    shop: SimpleNamespace, airside: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airside.assets._PACKAGE", shop.path)
    for words in (
        shop.register_words(),
        ["bank", "rollback", "1", "--bank", shop.bank],
        ["bank", "migrate", *shop.common],
        ["bank", "init", "--bank", shop.path / "inside"],
    ):
        answer = airside(*words)
        assert answer.code == 7
        assert "airside bank init" in answer.err
    assert shop.store.head().number == 1


def test_an_installation_without_assets_says_so(
    shop: SimpleNamespace, airside: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airside.assets._MINI", shop.path / "nothing")
    answer = airside("run", shop.apron, "--out", shop.path / "out")
    assert answer.code == 8
    assert "--model DIR" in answer.err
