"""The default engine repeats what its bundle promises, whatever the batch, and refuses other pictures."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from airside.engine.bundle import file_sha256, open_bundle, write_manifest
from airside.engine.onnx import OnnxEngine, load_engine
from airside.errors import CorruptError, InputError
from tests.builders import tiny_bundle


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
