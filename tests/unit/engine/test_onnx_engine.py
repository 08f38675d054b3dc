"""The default engine repeats what its bundle promises, whatever the batch, and refuses other pictures."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airside.assets import embedded_model
from airside.engine.bundle import file_sha256, open_bundle, write_manifest
from airside.engine.onnx import OnnxEngine, load_engine
from airside.engine.parity import load_outputs
from airside.errors import CorruptError, InputError, MismatchError, UsageError
from airside.geometry.bev_grid import BevGrid
from airside.geometry.bev_view import BevView, bev_view
from tests.builders import TINY_BEV, tiny_bundle, tiny_rig, tiny_view


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("engine") / "model")


@pytest.fixture(scope="module")
def engine(model: Path) -> OnnxEngine:
    return load_engine(model, 1)


def _noise(count: int, seed: int = 0) -> np.ndarray:
    images: np.ndarray = np.random.default_rng(seed).integers(0, 256, (count, 56, 98, 3), np.uint8)
    return images


def test_the_manifest_is_the_bundle_s(engine: OnnxEngine, model: Path) -> None:
    assert engine.manifest == open_bundle(model).manifest


def test_repeats_the_bundle_s_own_answer(engine: OnnxEngine, model: Path) -> None:
    with np.load(model / "parity.npz") as parity:
        np.testing.assert_allclose(engine.tokens(parity["images"]), parity["tokens"], atol=1e-5)
        assert not np.allclose(engine.tokens(255 - parity["images"]), parity["tokens"], atol=1e-2)


def test_another_model_gives_another_answer(engine: OnnxEngine, tmp_path: Path) -> None:
    other = load_engine(tiny_bundle(tmp_path / "other", seed=1), 1)
    assert other.manifest.fingerprint != engine.manifest.fingerprint
    assert not np.allclose(other.tokens(_noise(1)), engine.tokens(_noise(1)), atol=1e-2)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_tokens(engine: OnnxEngine, count: int) -> None:
    tokens = engine.tokens(_noise(count))
    assert (tokens.shape, tokens.dtype) == ((count, 4, 7, 8), np.float32)
    np.testing.assert_allclose(np.linalg.norm(tokens, axis=-1), 1, atol=1e-5)


def test_a_batch_equals_one_by_one(engine: OnnxEngine) -> None:
    images = _noise(5)
    together = engine.tokens(images)
    for image, tokens in zip(images, together, strict=True):
        np.testing.assert_allclose(engine.tokens(image[None])[0], tokens, atol=1e-6)
    assert not np.allclose(together[0], together[1], atol=1e-3)


def test_a_strided_view_is_the_same_picture(engine: OnnxEngine) -> None:
    images = _noise(1)
    twice = images.repeat(2, axis=1).repeat(2, axis=2)[:, ::2, ::2]
    assert not twice.flags.c_contiguous
    assert np.array_equal(engine.tokens(twice), engine.tokens(images))


def test_a_patch_follows_its_own_pixels(engine: OnnxEngine) -> None:
    image = _noise(1)
    other = image.copy()
    other[:, 14:28, 28:42] = 0
    changed = np.abs(engine.tokens(image) - engine.tokens(other)).max(axis=-1)[0] > 1e-6
    assert np.argwhere(changed).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    "images",
    [
        _noise(1)[0],
        _noise(1)[None],
        _noise(1)[:, :55],
        _noise(1)[:, :, :97],
        _noise(1)[..., :1],
        _noise(1).transpose(0, 3, 1, 2),
        _noise(1).transpose(0, 2, 1, 3),
        _noise(1).astype(np.float32),
        _noise(1).astype(np.int8),
        np.zeros(0, np.uint8),
    ],
)
def test_refuses_what_is_no_picture_of_its_size(engine: OnnxEngine, images: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"wanted pictures \[N, 56, 98, 3\] uint8, got \("):
        engine.tokens(images)


@pytest.mark.parametrize("network", [b"", b"not a network", b"\x08\x09" * 500])
def test_refuses_a_sealed_network_that_is_garbage(model: Path, tmp_path: Path, network: bytes) -> None:
    bad = shutil.copytree(model, tmp_path / "model")
    (bad / "model.onnx").write_bytes(network)
    manifest = dataclasses.replace(open_bundle(model).manifest, network_sha256=file_sha256(bad / "model.onnx"))
    write_manifest(bad, manifest)
    with pytest.raises(CorruptError, match=r"onnxruntime refuses .*model\.onnx"):
        load_engine(bad, 1)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> OnnxEngine:
    return load_engine(tiny_bundle(tmp_path_factory.mktemp("full") / "model", depth=True, bev=True), 1)


def test_one_pass_gives_tokens_and_depth(full: OnnxEngine, engine: OnnxEngine) -> None:
    images = np.zeros((2, 56, 98, 3), np.uint8)
    images[1, 7:14, 14:21] = 255
    found = full.outputs(images)
    assert np.array_equal(found.tokens, full.tokens(images))
    assert found.depth is not None
    wanted = np.full((2, 8, 14), 4.0)
    wanted[1, 1, 2] = 44.0
    np.testing.assert_allclose(found.depth, wanted, rtol=1e-5)
    assert engine.outputs(images).depth is None


@pytest.mark.parametrize("cameras", [1, 3])
def test_any_rig_gives_a_birds_eye_view(full: OnnxEngine, cameras: int) -> None:
    images, view = _noise(cameras), tiny_view(cameras)
    maps = full.bev(full.tokens(images), view)
    assert (maps.layers.shape, maps.depth_probability.shape) == ((2, 30, 20), (cameras, 4, 4, 7))
    np.testing.assert_allclose(maps.depth_probability.sum(axis=1), 1, atol=1e-5)
    mass = np.zeros(TINY_BEV.grid.cells)
    for patch, depth_bin, cell in zip(view.table.patch, view.table.depth_bin, view.table.cell, strict=True):
        camera, row, column = np.unravel_index(patch, (cameras, 4, 7))
        mass[cell] += maps.depth_probability[camera, depth_bin, row, column]
    np.testing.assert_allclose(maps.layers[0].ravel(), 1 - np.exp(-mass), atol=1e-5)


def test_a_birds_eye_view_is_told_what_depth_measured(full: OnnxEngine) -> None:
    tokens, view = full.tokens(_noise(2)), tiny_view(2)
    measured = np.zeros((2, 4, 4, 7), np.float32)
    told = full.bev(tokens, view)
    np.testing.assert_array_equal(full.bev(tokens, view, measured).layers, told.layers)
    measured[1, 2] = 1.0
    found = full.bev(tokens, view, measured)
    np.testing.assert_array_equal(found.depth_probability[0], told.depth_probability[0])
    assert (found.depth_probability[1, 2] > told.depth_probability[1, 2]).all()
    with pytest.raises(MismatchError, match=r"measured: wanted \[2, 4, 4, 7\] float32, got \[1, 4, 4, 7\] float32"):
        full.bev(tokens, view, measured[:1])


def test_a_birds_eye_view_is_refused_where_there_is_none(engine: OnnxEngine) -> None:
    with pytest.raises(UsageError, match="tiny-0 has no bird's-eye view; give another with --model"):
        engine.bev(engine.tokens(_noise(1)), tiny_view())


def test_a_birds_eye_view_of_another_model_or_rig_is_refused(full: OnnxEngine) -> None:
    tokens = full.tokens(_noise(1))
    other = bev_view(tiny_rig(), BevGrid(10, 10, 2.0), TINY_BEV.bins, TINY_BEV.height_range_m)
    with pytest.raises(MismatchError, match="made for another model"):
        full.bev(tokens, other)
    with pytest.raises(MismatchError, match=r"wants \[2, 4, 7, 8\], got \[1, 4, 7, 8\]"):
        full.bev(tokens, tiny_view(2))
    with pytest.raises(UsageError, match=r"wanted rays \[1, 4, 7, 3\]"):
        BevView(np.zeros((1, 4, 7, 2)), tiny_view().table)


@pytest.mark.parametrize("network", [b"", b"not a network"])
def test_refuses_a_sealed_birds_eye_view_that_is_garbage(tmp_path: Path, network: bytes) -> None:
    model = tiny_bundle(tmp_path / "model", bev=True)
    manifest = open_bundle(model).manifest
    (model / "bev.onnx").write_bytes(network)
    write_manifest(model, dataclasses.replace(manifest, bev_sha256=file_sha256(model / "bev.onnx")))
    with pytest.raises(CorruptError, match=r"onnxruntime refuses .*bev\.onnx"):
        load_engine(model, 1)


def _lie(model: Path, **fields: Any) -> None:
    write_manifest(model, dataclasses.replace(open_bundle(model).manifest, **fields))


def test_refuses_a_manifest_that_declares_what_the_network_lacks(tmp_path: Path) -> None:
    model = tiny_bundle(tmp_path / "plain")
    _lie(model, outputs=("tokens", "depth"), depth_focal_px=98.0)
    with pytest.raises(CorruptError, match=r"model\.onnx gives tokens, its manifest says tokens, depth"):
        load_engine(model, 1)


def test_refuses_a_manifest_that_hides_what_the_network_gives(tmp_path: Path) -> None:
    model = tiny_bundle(tmp_path / "deep", depth=True)
    _lie(model, outputs=("tokens",), depth_focal_px=None)
    with pytest.raises(CorruptError, match=r"model\.onnx gives depth, tokens, its manifest says tokens"):
        load_engine(model, 1)


def test_refuses_a_birds_eye_view_of_another_shape_than_declared(tmp_path: Path) -> None:
    model = tiny_bundle(tmp_path / "model", bev=True)
    _lie(model, bev=dataclasses.replace(TINY_BEV, layers=("vehicles",)))
    engine = load_engine(model, 1)
    with pytest.raises(CorruptError, match=r"gives \[2, 30, 20\].* says \[1, 30, 20\]"):
        engine.bev(engine.tokens(_noise(1)), tiny_view())


def test_refuses_depth_that_is_no_multiple_of_the_patches(tmp_path: Path) -> None:
    model = tiny_bundle(tmp_path / "model", depth=True)
    engine = load_engine(model, 1)
    engine._manifest = dataclasses.replace(engine.manifest, patch_px=28)  # a grid of 2 x 3
    with pytest.raises(CorruptError, match=r"depth \[1, 8, 14\] for 1 pictures, wanted multiples of .* 2 x 3"):
        engine.outputs(_noise(1))


def test_a_birds_eye_view_is_the_same_every_time_with_several_threads() -> None:
    path = embedded_model()
    stored = load_outputs(path / "parity.npz", open_bundle(path).manifest)
    assert stored.view is not None
    engine = load_engine(path, threads=4)
    first = engine.bev(stored.outputs["tokens"], stored.view).layers
    for _ in range(20):
        np.testing.assert_array_equal(engine.bev(stored.outputs["tokens"], stored.view).layers, first)
