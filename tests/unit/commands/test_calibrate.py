"""``airside bank calibrate``: a threshold from clean frames as a new snapshot, or a refusal that changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from airside.bank.bank import Calibration
from airside.cameras.decode import read_image
from airside.cameras.fit import fit_to_network
from airside.engine.onnx import load_engine
from airside.knowledge import knowledge_from_bank, map_from_tokens
from airside.ood.evidence import frame_region_score
from airside.ood.path import PATH
from airside.ood.scoring import METHODS
from tests.builders import apron_like_picture, tiny_bundle

Call = Callable[..., SimpleNamespace]
FRAMES = 12


@pytest.fixture
def clean(shop: SimpleNamespace) -> Path:
    """A folder of empty aprons."""
    cv2 = pytest.importorskip("cv2")
    folder: Path = shop.path / "clean"
    folder.mkdir()
    for k in range(FRAMES):
        picture, _ = apron_like_picture(np.random.default_rng([3, k]), colour=None)
        assert cv2.imwrite(str(folder / f"{k:02d}.png"), picture[:, :, ::-1])
    return folder


def _scores(shop: SimpleNamespace, folder: Path, method: str) -> list[float]:
    engine, way = load_engine(shop.model, 1), knowledge_from_bank(shop.store.load()[0], "", method)
    found = []
    for file in sorted(folder.iterdir()):
        net = fit_to_network(read_image(file), 56, 98, 14)
        found.append(frame_region_score(map_from_tokens(engine.tokens(net.image[None])[0], way), net.observed))
    return found


@pytest.mark.parametrize("method", ["default", "prowl", "tail"])
def test_the_threshold_is_a_new_snapshot(shop: SimpleNamespace, airside: Call, clean: Path, method: str) -> None:
    knn = Calibration("knn", 0.4, 0.05, 50)
    shop.store.commit(lambda bank: replace(bank, calibrations=(*bank.calibrations, knn)), "test", "knn")
    before = shop.store.load()[0]
    answer = airside("bank", "calibrate", clean, "--alpha", 0.1, "--method", method, *shop.common, "--json")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    after, info = shop.store.load()
    filed_as = METHODS[method].calibrated_as
    assert (told["snapshot"], told["method"], told["clean_frames"]) == (info.id, filed_as, FRAMES)
    assert info.number == 3
    assert info.message == f"calibrated {method} on {FRAMES} clean frames"
    by_method = {c.method: c for c in after.calibrations}
    assert by_method["knn"] == knn
    found = by_method[filed_as]
    assert found.threshold == pytest.approx(max(_scores(shop, clean, method)), abs=1e-5)  # rank 12 of 12 at alpha 0.1
    assert (found.alpha, found.clean_frames) == (0.1, FRAMES)
    assert told["threshold"] == found.threshold
    others = [c for c in before.calibrations if c.method != filed_as]
    assert [c for c in after.calibrations if c.method != filed_as] == others
    assert after.names == before.names
    assert len(by_method) == len(after.calibrations)


def test_no_more_frames_than_asked_for(shop: SimpleNamespace, airside: Call, clean: Path) -> None:
    words = ("bank", "calibrate", clean, "--alpha", 0.2, "--max-frames", 5, *shop.common)
    answer = airside(*words, "--message", "dry day")
    assert answer.code == 0, answer.err
    assert "from 5 clean frames; of frames like these at most 20.0% should alarm" in answer.out
    assert shop.store.load()[0].calibrations[-1].clean_frames == 5
    assert shop.store.head().message == "dry day"


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--alpha", "0.01"], 2, "gave 12 clean frames; alpha 0.01 needs 99 or more"),
        (["--alpha", "0.1", "--max-frames", "8"], 2, "gave 8 clean frames; alpha 0.1 needs 9"),
        (["--alpha", "0"], 2, "alpha must lie between 0 and 1, got 0"),
        (["--alpha", "1"], 2, "alpha must lie between 0 and 1"),
        (["--alpha", "-0.1"], 2, "alpha must lie between 0 and 1"),
        (["--alpha", "nan"], 2, "alpha must lie between 0 and 1"),
        (["--alpha", "much"], 2, "invalid float"),
        (["--alpha", "0.1", "--method", "magic"], 2, "unknown method 'magic'"),
    ],
)
def test_refuses_what_promises_nothing(
    shop: SimpleNamespace, airside: Call, clean: Path, options: list[str], code: int, words: str
) -> None:
    answer = airside("bank", "calibrate", clean, *options, *shop.common)
    assert answer.code == code
    assert words in answer.err
    assert shop.store.head().number == 1


def test_refuses_a_source_or_a_model_that_is_another(shop: SimpleNamespace, airside: Call, clean: Path) -> None:
    assert airside("bank", "calibrate", shop.path / "nothing", *shop.common).code in (2, 3)
    other = tiny_bundle(shop.path / "other", seed=3)
    answer = airside("bank", "calibrate", clean, "--alpha", 0.1, "--bank", shop.bank, "--model", other)
    assert answer.code == 4
    assert "airside bank migrate" in answer.err
    assert shop.store.head().number == 1


RIG = """cameras:
  - {name: front, width: 196, height: 112, fx: 98.0, fy: 98.0, cx: 97.5, cy: 30.0, max_range_m: 60.0,
     ego_from_cam: {xyz_m: [1.0, 0.0, 1.8]}}
  - {name: rear, width: 196, height: 112, fx: 98.0, fy: 98.0, cx: 97.5, cy: 30.0, max_range_m: 60.0,
     ego_from_cam: {xyz_m: [-1.0, 0.0, 1.8], yaw_deg: 180.0}}
"""


def test_a_rig_sets_the_threshold_of_the_path_too(shop: SimpleNamespace, airside: Call, clean: Path) -> None:
    rig = shop.path / "rig.yaml"
    rig.write_text(RIG)
    words = ("bank", "calibrate", clean, "--alpha", 0.1, "--alpha-path", 0.1, "--rig", rig, *shop.common)
    answer = airside(*words, "--camera", "front")
    assert answer.code == 0, answer.err
    bank = shop.store.load()[0]
    path = next(c for c in bank.calibrations if c.method == METHODS["default"].calibrated_as + PATH)
    assert (path.alpha, path.clean_frames) == (0.1, FRAMES)
    way = knowledge_from_bank(bank, "", "default")
    assert way.path_threshold == path.threshold
    assert path.threshold <= max(_greatest_patch(shop, clean))
    for more, said in (((), "say with --camera"), (("--camera", "rear"), "does not see the path ahead")):
        assert said in airside(*words, *more).err


def _greatest_patch(shop: SimpleNamespace, folder: Path) -> list[float]:
    engine, way = load_engine(shop.model, 1), knowledge_from_bank(shop.store.load()[0], "", "default")
    nets = (fit_to_network(read_image(file), 56, 98, 14) for file in sorted(folder.iterdir()))
    return [float(map_from_tokens(engine.tokens(net.image[None])[0], way).ood_score.max()) for net in nets]
