from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from airside.errors import InputError, UsageError
from eval.datasets.table import DATA_SETS, data_set
from tests.road_data import SHAPE, masked_folder, picture, truth, write_png

REAL = Path(__file__).parents[3].parent / "shared" / "data"
LAF = ("04_Maurener_Weg_8_000001_000030", "15_Rechbergstr_Deckenpfronn_000000_000010")


def lost_and_found(root: Path) -> Path:
    for seed, name in enumerate(LAF):
        scene = name.rsplit("_", 2)[0]
        write_png(root / "leftImg8bit" / "test" / scene / f"{name}_leftImg8bit.png", picture(seed))
        coded = np.select([truth(seed) == 255, truth(seed) == 0], [0, 1], 2 + 7 * seed).astype(np.uint8)
        write_png(root / "gtCoarse" / "test" / scene / f"{name}_gtCoarse_labelIds.png", coded)
    return root


def road_anomaly(root: Path) -> Path:
    write_png(root / "frames" / "cow.jpg", picture(0))
    write_png(root / "frames" / "cow.labels" / "labels_semantic.png", np.where(truth(0) == 1, 2, 0).astype(np.uint8))
    return root


def fishyscapes_laf(root: Path) -> Path:
    lost_and_found(root)
    for seed, name in enumerate(LAF):
        write_png(root / "fishyscapes_lostandfound" / f"{seed:04d}_{name}_labels.png", truth(seed))
    return root


def fishyscapes_static(root: Path) -> Path:
    write_png(root / "0001_rgb.png", picture(0))
    write_png(root / "0001_labels.png", truth(0))
    return root


def pairs(root: Path) -> Path:
    write_png(root / "original" / "7.png", picture(0))
    write_png(root / "labels" / "7.png", truth(0))
    return root


LAYOUTS = [
    ("road-anomaly", road_anomaly, {"cow": "all"}),
    ("anomaly-track", lambda r: masked_folder(r, ["validation0000"]), {"validation0000": "all"}),
    (
        "obstacle-track",
        lambda r: masked_folder(r, ["validation_1", "darkasphalt_axe_2", "validation_21"], "webp"),
        {"darkasphalt_axe_2": "darkasphalt", "validation_1": "validation"},
    ),
    ("lost-and-found", lost_and_found, {LAF[0]: "04_Maurener_Weg_8", LAF[1]: "15_Rechbergstr_Deckenpfronn"}),
    ("lost-and-found-noknown", lost_and_found, {LAF[0]: "04_Maurener_Weg_8"}),
    ("fishyscapes-laf", fishyscapes_laf, {LAF[0]: "all", LAF[1]: "all"}),
    ("fishyscapes-laf", pairs, {"7": "all"}),
    ("fishyscapes-static", fishyscapes_static, {"0001": "all"}),
    ("fishyscapes-static", pairs, {"7": "all"}),
    ("folder", lambda r: masked_folder(r, ["a", "b"]), {"a": "all", "b": "all"}),
]


@pytest.mark.parametrize(("name", "make", "wanted"), LAYOUTS)
def test_layouts(name: str, make, wanted: dict[str, str], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    frames = data_set(name).frames(make(tmp_path))
    assert {f.name: f.condition for f in frames} == wanted
    for frame in frames:
        assert frame.rgb().shape == (*SHAPE, 3)
        label = frame.label()
        assert label.shape == SHAPE
        assert {1, 0} <= set(np.unique(label).tolist()) <= {0, 1, 255}


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    root = masked_folder(tmp_path, ["a"])
    (root / "images" / "a.jpg").write_bytes(b"no picture")
    (frame,) = data_set("folder").frames(root)
    assert frame.label().shape == SHAPE
    with pytest.raises(InputError, match=r"a\.jpg"):
        frame.rgb()


@pytest.mark.parametrize("name", [n for n in DATA_SETS if n != "apron"])
def test_a_wrong_root_says_what_is_missing_and_where_to_get_it(name: str, tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError) as error:
            data_set(name).frames(root)
        assert str(root) in str(error.value)
        assert data_set(name).source in str(error.value)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(UsageError, match="road-anomaly"):
        data_set("roadanomaly")


def test_a_label_without_its_picture_is_named(tmp_path: Path) -> None:
    root = masked_folder(tmp_path, ["a", "b"])
    (root / "images" / "b.jpg").unlink()
    with pytest.raises(InputError, match="b_labels_semantic"):
        data_set("folder").frames(root)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        (np.full(SHAPE, 255, np.uint8), "every pixel is ignored"),
        (np.where(truth(0) == 1, 7, 0).astype(np.uint8), "holds the values 7"),
        (np.zeros((*SHAPE, 3), np.uint8), "one channel"),
    ],
)
def test_labels_of_no_use_are_named(label: np.ndarray, said: str, tmp_path: Path) -> None:
    root = masked_folder(tmp_path, ["a"])
    write_png(root / "labels_masks" / "a_labels_semantic.png", label)
    (frame,) = data_set("folder").frames(root)
    with pytest.raises(InputError, match=said) as error:
        frame.label()
    assert "a_labels_semantic.png" in str(error.value)


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data is absent")
@pytest.mark.parametrize(
    ("name", "folder", "count"),
    [("road-anomaly", "RoadAnomaly", 30), ("anomaly-track", "dataset_AnomalyTrack", 10)],
)
def test_real_layouts(name: str, folder: str, count: int) -> None:
    frames = data_set(name).frames(REAL / folder)
    assert len(frames) == count
    assert frames[0].rgb().shape == (720, 1280, 3)
    assert set(np.unique(frames[0].label()).tolist()) <= {0, 1, 255}
