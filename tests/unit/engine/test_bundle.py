"""A model bundle opens when every byte is the one it was sealed with, and says which file is not."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airside.engine.bundle import Manifest, file_sha256, open_bundle, write_manifest
from airside.errors import CorruptError, InputError
from tests.builders import tiny_bundle

FILES = ("model.onnx", "manifest.json", "parity.npz")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "model")


@pytest.fixture
def model(made: Path, tmp_path: Path) -> Path:
    """A bundle of the test's own."""
    return shutil.copytree(made, tmp_path / "model")


def _change(model: Path, **fields: Any) -> None:
    """Rewrite fields of the manifest as if somebody edited it; ``None`` drops the field."""
    raw = json.loads((model / "manifest.json").read_text()) | fields
    (model / "manifest.json").write_text(json.dumps({k: v for k, v in raw.items() if v is not None}))


def _sealed(model: Path, **fields: Any) -> None:
    """Rewrite fields and seal the manifest again: only its own contents can be wrong then."""
    write_manifest(model, dataclasses.replace(open_bundle(model).manifest, **fields))


def test_an_intact_bundle(made: Path) -> None:
    bundle = open_bundle(made)
    assert bundle.path == made
    assert bundle.network == (made / "model.onnx").read_bytes()
    m = bundle.manifest
    assert (m.name, m.height_px, m.width_px, m.grid, m.token_width) == ("tiny-0", 56, 98, (4, 7), 8)
    assert m.outputs == ("tokens",)
    assert m.fingerprint == m.computed_fingerprint()
    assert len(m.fingerprint) == 64


@pytest.mark.parametrize("what", ["nothing", "file"])
def test_refuses_what_is_no_folder(tmp_path: Path, what: str) -> None:
    path = tmp_path / "model"
    if what == "file":
        path.write_bytes(b"x")
    with pytest.raises(InputError, match=r"is not a model bundle: wanted a folder with model\.onnx, manifest"):
        open_bundle(path)


@pytest.mark.parametrize("gone", [*((name,) for name in FILES), FILES])
def test_refuses_a_bundle_that_lacks_files(model: Path, gone: tuple[str, ...]) -> None:
    for name in gone:
        (model / name).unlink()
    with pytest.raises(CorruptError, match=rf"lacks {', '.join(gone)}; copy the whole folder"):
        open_bundle(model)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", [0.0, 0.3, 0.7, 1.0])
def test_refuses_a_flipped_byte(model: Path, name: str, where: float) -> None:
    data = bytearray((model / name).read_bytes().rstrip())  # the manifest's last line end means nothing
    data[round(where * (len(data) - 1))] ^= 0x01
    (model / name).write_bytes(bytes(data))
    with pytest.raises(CorruptError, match="copy"):
        open_bundle(model)


@pytest.mark.parametrize("name", ["model.onnx", "parity.npz"])
@pytest.mark.parametrize("data", [b"", b"x"])
def test_names_the_file_that_is_another(model: Path, name: str, data: bytes) -> None:
    (model / name).write_bytes(data)
    with pytest.raises(CorruptError, match=rf"{name} is not the file this bundle was sealed with \(wanted"):
        open_bundle(model)


def test_names_a_manifest_that_was_edited(model: Path) -> None:
    _change(model, licence="MIT")
    with pytest.raises(CorruptError, match=r"manifest\.json is not the file"):
        open_bundle(model)


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", '"x"', "{}", "\ud800"])
def test_refuses_a_manifest_that_is_no_manifest(model: Path, text: str) -> None:
    (model / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(CorruptError, match="cannot be read"):
        open_bundle(model)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"schema": 2}, "schema 2, this airside reads 1"),
        ({"schema": None}, "schema"),
        ({"width_px": None}, "width_px"),
        ({"colour": "red"}, "colour"),
        ({"outputs": 5}, "not iterable"),
        ({"height_px": 0}, "height_px is 0, wanted a positive integer"),
        ({"width_px": -98}, "width_px is -98"),
        ({"patch_px": 14.0}, r"patch_px is 14\.0"),
        ({"token_width": "8"}, "token_width is '8'"),
        ({"height_px": 57}, "57x98 is no multiple of the patch 14"),
        ({"width_px": 97}, "56x97 is no multiple of the patch 14"),
        ({"patch_px": 13}, "no multiple of the patch 13"),
    ],
)
def test_refuses_a_manifest_that_does_not_fit(model: Path, fields: dict[str, Any], words: str) -> None:
    _change(model, **fields)
    with pytest.raises(CorruptError, match=words):
        open_bundle(model)


def test_a_size_is_refused_also_when_it_was_sealed(model: Path) -> None:
    _sealed(model, height_px=57)
    with pytest.raises(CorruptError, match="no multiple"):
        open_bundle(model)


OTHER: dict[str, Callable[[Any], Any]] = {"outputs": lambda outputs: (*outputs, "depth")}


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Manifest) if f.name != "fingerprint"])
def test_the_fingerprint_covers_every_field(made: Path, field: str) -> None:
    manifest = open_bundle(made).manifest
    value = getattr(manifest, field)
    other = OTHER.get(field, lambda v: v + 14 if isinstance(v, int) else v + "x")(value)
    changed = dataclasses.replace(manifest, **{field: other})
    assert changed.computed_fingerprint() != manifest.fingerprint
    assert dataclasses.replace(changed, **{field: value}).computed_fingerprint() == manifest.fingerprint


def test_the_fingerprint_does_not_cover_itself(made: Path) -> None:
    manifest = open_bundle(made).manifest
    assert dataclasses.replace(manifest, fingerprint="").computed_fingerprint() == manifest.fingerprint


def test_sealing_again_opens_again(model: Path) -> None:
    before = open_bundle(model).manifest
    _sealed(model, licence="MIT")
    after = open_bundle(model).manifest
    assert after.licence == "MIT"
    assert after.fingerprint != before.fingerprint


def test_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
