from __future__ import annotations

import errno
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from airside.bank.store import BankStore
from airside.cameras.fit import fit_to_network
from airside.engine.onnx import load_engine
from airside.errors import UsageError
from eval.datasets.table import data_set
from eval.road.__main__ import main
from eval.road.predictions import write_map, write_scores
from eval.road.scorers import ALL_METHODS, frame_from_network, methods_from
from eval.road.summary import FIGURES
from tests.builders import taught_bank, tiny_bundle
from tests.road_data import (
    SHAPE,
    flat_predictions,
    masked_folder,
    official_predictions,
    picture,
    scores,
    truth,
    write_png,
)

NAMES = [f"f{k}" for k in range(5)]


def metrics(dataset: str, root: Path, predictions: Path, out: Path) -> int:
    arguments = ["--dataset", dataset, "--root", str(root), "--predictions", str(predictions), "--out", str(out)]
    return main(["metrics", *arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return masked_folder(tmp_path / "data", NAMES)


def test_flat_maps_are_measured(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maps = flat_predictions(tmp_path / "mine", NAMES)
    assert metrics("folder", folder, maps, tmp_path / "out") == 0
    report = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert report["dataset"] == "folder"
    (method,) = report["methods"]
    assert method == "mine"
    found = report["methods"]["mine"]
    assert {"ap", "auroc", "fpr95", "best_f1", "siou", "ppv", "f1_mean", "ci", "exact"} <= found.keys()
    for figure in FIGURES:
        low, high = found["ci"][figure]
        assert 0 <= low <= found[figure] <= high <= 1, figure
    assert found["exact"]["ap"] == pytest.approx(found["ap"], abs=0.01)
    assert "mine" in capsys.readouterr().out


def test_official_layout_and_several_methods(tmp_path: Path) -> None:
    names = ["validation0000", "validation0001"]
    root = masked_folder(tmp_path / "data", names)
    predictions = official_predictions(tmp_path / "p", "good", "AnomalyTrack-validation", names, 4.0)
    official_predictions(tmp_path / "p", "bad", "AnomalyTrack-validation", names, 0.5)
    for base in (predictions, predictions / "anomaly_p"):
        assert metrics("anomaly-track", root, base, tmp_path / "out") == 0
        methods = json.loads((tmp_path / "out" / "metrics.json").read_text())["methods"]
        assert methods["good"]["ap"] > methods["bad"]["ap"]


# What the benchmark's own code does with a frame of the split (datasets/tracks.py, tracks_extra.py, dataset_io.py and
# evaluation.py): it opens DIR_OUTPUTS/anomaly_p/METHOD/NAME/FRAME.hdf5, NAME being what the split's source persists
# under, reads the data set "value" whole, indexes it with the label's mask and compares it with a float.
OFFICIAL_READS = {
    "anomaly-track": ("AnomalyTrack-all",),
    "obstacle-track": ("ObstacleTrack-all",),
    "lost-and-found": ("LostAndFound-test",),
    "lost-and-found-noknown": ("LostAndFound-test",),
    "fishyscapes-laf": ("LostAndFound-train", "LostAndFound-test"),
}


@pytest.mark.parametrize("name", OFFICIAL_READS)
def test_what_the_official_tool_reads(name: str, tmp_path: Path) -> None:
    for _ in range(2):  # a second run replaces the first one's maps everywhere
        write_map(tmp_path, "default", data_set(name), "validation0000", scores(0))
    for folder in (*OFFICIAL_READS[name], data_set(name).official[0]):
        with h5py.File(tmp_path / "anomaly_p" / "default" / folder / "validation0000.hdf5", "r") as file:
            stored = file["value"]
            assert (stored.shape, stored.dtype, list(file)) == (SHAPE, np.float16, ["value"])
            value = stored[:]
        assert np.array_equal(value, scores(0).astype(np.float16))
        assert value.min() >= 0
        assert value.max() <= 1
        assert value[truth(0) < 255].ndim == 1


def test_maps_that_the_official_tool_saved_are_found(tmp_path: Path) -> None:
    """It keeps a frame of Fishyscapes under the split of LostAndFound that it came from."""
    names = ["04_Maurener_Weg_8_000000_000030", "13_Elly_Beinhorn_Str_000000_000050"]
    for seed, (name, folder) in enumerate(zip(names, ("LostAndFound-train", "LostAndFound-test"), strict=True)):
        write_png(tmp_path / "d" / f"{name}_leftImg8bit.png", picture(seed))
        write_png(tmp_path / "d" / f"{seed:04d}_{name}_labels.png", truth(seed))
        write_scores(tmp_path / "p" / "anomaly_p" / "theirs" / folder, name, scores(seed))
    assert metrics("fishyscapes-laf", tmp_path / "d", tmp_path / "p", tmp_path / "out") == 0
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["methods"]["theirs"]["frames"] == 2


def test_the_report_needs_nothing_beside_it(folder: Path, tmp_path: Path) -> None:
    assert metrics("folder", folder, flat_predictions(tmp_path / "m", NAMES), tmp_path / "out") == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert not re.search(r"https?://|<script|<link|url\(|@import", page)
    assert all(source.startswith("data:image/") for source in re.findall(r'src="([^"]*)"', page))
    for words in ("Results", "Curves", "Worst and best frames", "worst 1: f", "best 1: f", "What the figures mean"):
        assert words in page


def test_published_results_stand_beside_ours(tmp_path: Path) -> None:
    write_png(tmp_path / "d" / "frames" / "f0.jpg", np.full((*SHAPE, 3), 90, np.uint8))
    write_png(
        tmp_path / "d" / "frames" / "f0.labels" / "labels_semantic.png", np.where(truth(0) == 1, 2, 0).astype(np.uint8)
    )
    assert metrics("road-anomaly", tmp_path / "d", flat_predictions(tmp_path / "m", ["f0"]), tmp_path / "out") == 0
    assert "MultiShiftSeg" in (tmp_path / "out" / "report.html").read_text()
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())["methods"]["m"]
    assert found["ci"]["ap"] is None  # one frame has no interval


def test_conditions_have_rows_of_their_own(tmp_path: Path) -> None:
    names = ["night_1", "night_2", "rain_1"]
    root = masked_folder(tmp_path / "d", names)
    assert metrics("obstacle-track", root, flat_predictions(tmp_path / "m", names), tmp_path / "out") == 0
    rows = json.loads((tmp_path / "out" / "metrics.json").read_text())["methods"]["m"]["by_condition"]
    assert {name: row["frames"] for name, row in rows.items()} == {"night": 2, "rain": 1}
    assert "By condition" in (tmp_path / "out" / "report.html").read_text()


def overflowing() -> np.ndarray:
    with np.errstate(over="ignore"):
        return (scores(1) * 1e6).astype(np.float16)


BAD_MAPS = [
    (scores(1)[:-1], "f1_labels_semantic.png, got [71, 96]"),
    (scores(1)[None], "wanted [72, 96] like the label"),
    (np.full(SHAPE, 0.5, np.float32), "every pixel has the score 0.5"),
    (np.where(truth(1) == 1, np.nan, scores(1)).astype(np.float32), "NaN"),
    (overflowing(), "overflowed float16"),
    (scores(1).astype(np.float64) * 1e300, "NaN or infinite"),
    ((scores(1) * 255).astype(np.uint8), "floating point"),
    (np.full((0, 0), 0.5, np.float32), "got [0, 0]"),
    (None, "1 of 5 score maps are missing"),
]


@pytest.mark.parametrize(("bad", "said"), BAD_MAPS)
def test_bad_maps_are_named_and_nothing_is_written(
    bad: np.ndarray | None, said: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps = flat_predictions(tmp_path / "m", NAMES)
    (maps / "f1.npy").unlink()
    if bad is not None:
        np.save(maps / "f1.npy", bad)
    assert metrics("folder", folder, maps, tmp_path / "out") == 3
    error = capsys.readouterr().err
    assert said in error
    assert str(maps / "f1.npy") in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("content", "said"), [(b"not hdf5", "cannot be read"), (None, "no data set 'value'")])
def test_bad_hdf5_is_named(
    content: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = masked_folder(tmp_path / "d", ["a"])
    predictions = official_predictions(tmp_path / "p", "m", "AnomalyTrack-validation", ["a"])
    path = predictions / "anomaly_p" / "m" / "AnomalyTrack-validation" / "a.hdf5"
    if content is not None:
        path.write_bytes(content)
    else:
        with h5py.File(path, "w") as file:
            file["scores"] = scores(0)
    assert metrics("anomaly-track", root, predictions, tmp_path / "out") == 3
    error = capsys.readouterr().err
    assert said in error
    assert str(path) in error


def test_a_truncated_map_is_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maps = flat_predictions(tmp_path / "m", NAMES)
    for rest in (b"", (maps / "f1.npy").read_bytes()[:200]):
        (maps / "f1.npy").write_bytes(rest)
        assert metrics("folder", folder, maps, tmp_path / "out") == 3
        assert f"{maps / 'f1.npy'}: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("closed", ["maps", "root"])
def test_folders_that_may_not_be_read_are_named(
    closed: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the operating system says it; a test may run as root, whom nothing is refused."""
    maps = flat_predictions(tmp_path / "m", NAMES)
    refused = {"maps": maps / "anomaly_p", "root": folder}[closed]
    real = Path.is_dir

    def is_dir(path: Path) -> bool:
        if path == refused:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "is_dir", is_dir)
    assert metrics("folder", folder, maps, tmp_path / "out") == 3
    error = capsys.readouterr().err
    assert f"{refused}: cannot be read (Permission denied)" in error
    assert "Traceback" not in error


def test_an_output_that_cannot_be_written_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("a file")
    maps = flat_predictions(tmp_path / "m", NAMES)
    assert metrics("folder", folder, maps, tmp_path / "taken") == 6
    assert f"cannot write {tmp_path / 'taken' / 'metrics.json'}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "said"), [(255, "every pixel is ignored"), (0, "nothing unknown"), (1, "nothing known")]
)
def test_labels_that_tell_nothing_are_named(
    value: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = masked_folder(tmp_path / "d", ["f0"])
    write_png(root / "labels_masks" / "f0_labels_semantic.png", np.full(SHAPE, value, np.uint8))
    assert metrics("folder", root, flat_predictions(tmp_path / "m", ["f0"]), tmp_path / "out") == 3
    error = capsys.readouterr().err
    assert said in error
    assert "f0_labels_semantic.png" in error


def test_no_maps_at_all_say_what_was_wanted(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m").mkdir()
    assert metrics("folder", folder, tmp_path / "m", tmp_path / "out") == 3
    assert "anomaly_p/METHOD/folder/FRAME.hdf5" in capsys.readouterr().err


def test_run_writes_what_metrics_reads(folder: Path, tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "model")
    engine = load_engine(bundle)
    BankStore(tmp_path / "bank").create(taught_bank(engine), "test", "test")
    shared = ["--dataset", "folder", "--root", str(folder)]
    chosen = "prowl,default,knn-patches,k-means,coreset,mahalanobis,pca-residual"
    ran = [
        "--model",
        str(bundle),
        "--bank",
        str(tmp_path / "bank"),
        "--methods",
        chosen,
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(["run", *shared, *ran]) == 0
    report = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert list(report["methods"]) == chosen.split(",")
    assert report["model"] == engine.manifest.fingerprint
    path = tmp_path / "out" / "anomaly_p" / "prowl" / data_set("folder").official[0] / "f0.hdf5"
    with h5py.File(path) as file:
        assert (file["value"].shape, file["value"].dtype) == (SHAPE, np.float16)
    assert metrics("folder", folder, tmp_path / "out", tmp_path / "again") == 0
    again = json.loads((tmp_path / "again" / "metrics.json").read_text())
    assert again["methods"] == {name: report["methods"][name] for name in again["methods"]}
    assert report["methods"]["prowl"]["ap"] > 0.5  # the green object is like nothing in the bank


def test_a_bank_of_another_model_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = tiny_bundle(tmp_path / "one"), tiny_bundle(tmp_path / "other", seed=1)
    BankStore(tmp_path / "bank").create(taught_bank(load_engine(one)), "test", "test")
    arguments = ["--dataset", "folder", "--root", str(folder), "--model", str(other), "--bank", str(tmp_path / "bank")]
    assert main(["run", *arguments, "--out", str(tmp_path / "out")]) == 4
    assert "airside bank migrate" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["prowl,nothing", "prowl,prowl", ""])
def test_methods_that_are_not_there(words: str) -> None:
    with pytest.raises(UsageError, match="pca-residual"):
        methods_from(words)
    assert methods_from("all") == ALL_METHODS


def test_scores_that_float16_cannot_hold_are_not_written(tmp_path: Path) -> None:
    for bad in (1e5, np.nan):
        with pytest.raises(UsageError, match="f0"):
            write_scores(tmp_path, "f0", np.full((4, 4), bad, np.float32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(90, 160), (480, 360), (360, 480)])
def test_a_map_finds_its_way_back_through_bars_and_scale(shape: tuple[int, int]) -> None:
    """What the network sees at a pixel is what the frame shows there."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    ramp = (rows / shape[0] * 120 + columns / shape[1] * 120).astype(np.uint8)
    net = fit_to_network(np.repeat(ramp[:, :, None], 3, axis=2), 224, 392, 14)
    back = frame_from_network(net.image[:, :, 0].astype(np.float32), net, shape)
    assert back.shape == shape
    assert np.abs(back - ramp)[6:-6, 6:-6].max() < 4
