from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from airside.bank.bank import ClassKind, KnownClass
from airside.bank.store import BankStore
from airside.engine.onnx import load_engine
from airside.errors import InputError
from prototypes.__main__ import main
from prototypes.bank_report import thin_because
from prototypes.labelled import CITYSCAPES_NAMES, LABELLED_SETS
from prototypes.labelled_bank import collect, learn_labelled
from tests.builders import tiny_bundle
from tests.labelled_data import tiny_camvid
from tests.road_data import write_png

CAMVID = LABELLED_SETS["camvid"]


def build(root: Path, model: Path, out: Path, *more: str) -> int:
    return main(["build", "--dataset", "camvid", "--root", str(root), "--model", str(model), "--out", str(out), *more])


def test_build_and_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, model, out = tiny_camvid(tmp_path / "camvid"), tiny_bundle(tmp_path / "model"), tmp_path / "bank"
    assert build(root, model, out, "--alpha", "0.3", "--curate") == 0
    assert "near-duplicates" in capsys.readouterr().out
    bank, info = BankStore(out).load()
    kinds = {c.name: (c.kind, c.protected) for c in bank.classes}
    assert kinds == {
        "car": (ClassKind.THING, False),
        "pedestrian": (ClassKind.THING, True),
        "road": (ClassKind.STUFF, False),
        "sky": (ClassKind.STUFF, False),
        "tree": (ClassKind.STUFF, False),
    }
    assert set(bank.guard_names) == {"pedestrian"}
    assert {c.clean_frames for c in bank.calibrations} == {3}  # a third of nine
    assert bank.model_fingerprint == load_engine(model).manifest.fingerprint
    arguments = ["--dataset", "camvid", "--root", str(root), "--model", str(model), "--bank", str(out)]
    files = ["--json", str(tmp_path / "r.json"), "--html", str(tmp_path / "r.html")]
    assert main(["report", *arguments, *files]) == 0
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["bank"] == info.id
    assert found["classes"]["car"]["named_right"] > 0.9
    assert found["unknown_to_bank"] == {}
    assert found["missed_by_class"] == {}
    for name, row in found["classes"].items():
        assert row["coverage"] == pytest.approx(1 - row["alarms"])
        assert 0 <= row["explained"] <= 1
        assert sum(found["confusion"][name].values()) == pytest.approx(1)
    assert "6 pictures, 20 are wanted" in found["classes"]["road"]["thin"][0]
    assert set(found["guard"]) == {"pedestrian"}
    page = (tmp_path / "r.html").read_text()
    assert not re.search(r"https?://|<script|<link|url\(", page)
    assert "What it would miss" not in page  # there is nothing unknown
    assert "pedestrian" in capsys.readouterr().out


def test_the_report_tells_what_is_missed_and_by_whom(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, model, out = tiny_camvid(tmp_path / "camvid"), tiny_bundle(tmp_path / "model"), tmp_path / "bank"
    engine = load_engine(model)
    collector = collect(engine, CAMVID, CAMVID.pictures(root, "train"), lambda *_: None)
    BankStore(out).create(learn_labelled(engine, CAMVID, collector, without=frozenset({"car"})), "test", "test")
    arguments = ["--dataset", "camvid", "--root", str(root), "--model", str(model), "--bank", str(out)]
    assert main(["report", *arguments, "--method", "knn", "--json", str(tmp_path / "r.json")]) == 0
    found = json.loads((tmp_path / "r.json").read_text())
    assert "car" not in found["classes"]
    car = found["unknown_to_bank"]["car"]
    assert car["missed"] == pytest.approx(1 - car["alarms"])
    taken_in = sum(row["share"] for row in found["missed_by_class"].values())
    assert taken_in == pytest.approx(car["missed"])  # the only unknown name
    assert all(set(row["of"]) == {"car"} for row in found["missed_by_class"].values())
    assert "unknown to the bank" in capsys.readouterr().out


def test_a_class_that_explains_little_is_thin() -> None:
    token = np.eye(4, dtype=np.float32)[:1]
    many = KnownClass(
        "car", ClassKind.THING, False, token, token[0], np.linspace(0.5, 1, 50).astype(np.float32), (), 30
    )
    assert thin_because(many, 0.94) == []
    assert "explains 40%" in thin_because(many, 0.4)[0]
    assert thin_because(replace(many, pictures=5), 0.94) == ["5 pictures, 20 are wanted"]
    assert thin_because(replace(many, pictures=0), None) == ["one picture: nothing was held out"]


@pytest.mark.parametrize("share", ["0", "1.5", "-0.1"])
def test_a_coreset_is_a_share(share: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, model = tiny_camvid(tmp_path / "camvid"), tiny_bundle(tmp_path / "model")
    assert build(root, model, tmp_path / "bank", "--coreset", share) == 2
    assert "--coreset" in capsys.readouterr().err


def test_a_coreset_is_what_the_bank_learns_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, model = tiny_camvid(tmp_path / "camvid"), tiny_bundle(tmp_path / "model")
    for name, more in (("all", []), ("some", ["--coreset", "0.3"])):
        assert build(root, model, tmp_path / name, "--alpha", "0.3", *more) == 0
    assert "beyond the coreset" in capsys.readouterr().out
    everything, some = (BankStore(tmp_path / n).load()[0].classes for n in ("all", "some"))
    assert sum(len(c.held_out_similarity) for c in some) < 0.5 * sum(len(c.held_out_similarity) for c in everything)


def test_too_few_clean_pictures_say_how_many_are_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, model = tiny_camvid(tmp_path / "camvid"), tiny_bundle(tmp_path / "model")
    assert build(root, model, tmp_path / "bank") == 2
    assert "19 clean frames" in capsys.readouterr().err
    assert not (tmp_path / "bank").exists()


def test_the_folder_must_be_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(tiny_bundle(tmp_path / "model"))
    assert main(["build", "--dataset", "camvid", "--model", model, "--out", str(tmp_path / "b")]) == 2
    assert "--root" in capsys.readouterr().err


def test_a_wrong_root_says_what_is_wanted(tmp_path: Path) -> None:
    for labelled in LABELLED_SETS.values():
        with pytest.raises(InputError) as error:
            labelled.pictures(tmp_path, "train")
        assert labelled.wanted in str(error.value)
        assert labelled.source in str(error.value)


def test_labels_meet_the_network_as_the_picture_does(tmp_path: Path) -> None:
    picture = CAMVID.pictures(tiny_camvid(tmp_path), "train")[0]
    manifest = load_engine(tiny_bundle(tmp_path / "model")).manifest
    net, classes = picture.for_network(manifest, CAMVID.unlabelled)
    assert classes.shape == net.image.shape[:2]
    red = (net.image[..., 0] > 140) & (net.image[..., 2] < 60)
    car = classes == CAMVID.names.index("car")
    assert (red & car).sum() / (red | car).sum() > 0.9


def test_bars_are_unlabelled(tmp_path: Path) -> None:
    write_png(tmp_path / "train" / "a.png", np.full((360, 200, 3), 90, np.uint8))
    write_png(tmp_path / "trainannot" / "a.png", np.full((360, 200), 3, np.uint8))
    (picture,) = CAMVID.pictures(tmp_path, "train")
    net, classes = picture.for_network(load_engine(tiny_bundle(tmp_path / "model")).manifest, CAMVID.unlabelled)
    assert set(classes[:, :14].flat) == {CAMVID.unlabelled}
    assert classes[28, 49] == 3
    assert not net.observed.all()


@pytest.mark.parametrize("label", [np.zeros((5, 5), np.uint8), np.zeros((120, 210, 3), np.uint8)])
def test_labels_of_another_shape_are_named(label: np.ndarray, tmp_path: Path) -> None:
    root = tiny_camvid(tmp_path, train=1)
    write_png(root / "trainannot" / "s_000.png", label)
    (picture,) = CAMVID.pictures(root, "train")
    with pytest.raises(InputError, match=r"s_000\.png"):
        picture.for_network(load_engine(tiny_bundle(tmp_path / "model")).manifest, CAMVID.unlabelled)


def test_a_picture_without_label_is_named(tmp_path: Path) -> None:
    root = tiny_camvid(tmp_path, train=2)
    (root / "trainannot" / "s_001.png").unlink()
    with pytest.raises(InputError, match=r"s_001\.png: its label is missing"):
        CAMVID.pictures(root, "train")


def test_cityscapes_layout(tmp_path: Path) -> None:
    write_png(
        tmp_path / "leftImg8bit" / "val" / "ulm" / "ulm_000000_000019_leftImg8bit.png", np.zeros((56, 98, 3), np.uint8)
    )
    ids = np.full((56, 98), 7, np.uint8)
    ids[:10], ids[10:20] = 26, 4
    write_png(tmp_path / "gtFine" / "val" / "ulm" / "ulm_000000_000019_gtFine_labelIds.png", ids)
    (picture,) = LABELLED_SETS["cityscapes"].pictures(tmp_path, "test")
    assert picture.name == "ulm_000000_000019"
    names = [CITYSCAPES_NAMES[k] for k in np.unique(picture.classes())]
    assert sorted(names) == ["car", "road", "unlabelled"]
