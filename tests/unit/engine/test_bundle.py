"""A model bundle opens when every byte is the one it was sealed with, and says which file is not."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from airside.engine.bundle import Manifest, open_bundle, write_manifest
from airside.errors import CorruptError, InputError
from tests.builders import TINY_BEV, tiny_bundle

FILES = ("model.onnx", "manifest.json", "parity.npz")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "model")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tokens, depth and bird's-eye view."""
    return tiny_bundle(tmp_path_factory.mktemp("full") / "model", depth=True, bev=True)


@pytest.fixture
def full_copy(full: Path, tmp_path: Path) -> Path:
    return shutil.copytree(full, tmp_path / "full")


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
        ({"schema": 3}, "schema 3, this airside reads 1 and 2"),
        ({"schema": 2}, "not those of schema 2"),
        ({"schema": 1, "bev_sha256": "x"}, "go together"),
        ({"outputs": ["tokens", "depth"]}, r"declares the outputs \['tokens', 'depth'\], .* describe \['tokens'\]"),
        ({"outputs": ["tokens", "bev"]}, r"declares the outputs \['tokens', 'bev'\]"),
        ({"outputs": []}, r"declares the outputs \[\]"),
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


OTHER: dict[str, Any] = {
    "outputs": ("tokens",),
    "bev": dataclasses.replace(TINY_BEV, layers=("vehicles", "grass")),
    "depth_focal_px": None,
}


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Manifest) if f.name != "fingerprint"])
def test_the_fingerprint_covers_every_field(full: Path, field: str) -> None:
    manifest = open_bundle(full).manifest
    value = getattr(manifest, field)
    other = OTHER[field] if field in OTHER else value + 14 if isinstance(value, int) else value + "x"
    changed = dataclasses.replace(manifest, **{field: other})
    assert changed.computed_fingerprint() != manifest.fingerprint


def test_tokens_alone_keep_the_old_form_and_fingerprint(made: Path) -> None:
    """The embedded bundle was sealed before depth and bird's-eye view existed; banks carry its fingerprint."""
    raw = json.loads((made / "manifest.json").read_text())
    assert raw["schema"] == 1
    assert not {"depth_focal_px", "bev", "bev_sha256"} & raw.keys()
    fields = {k: v for k, v in raw.items() if k != "fingerprint"}  # schema 1: sha256 of these
    assert raw["fingerprint"] == hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def test_a_full_bundle(full: Path) -> None:
    bundle = open_bundle(full)
    assert json.loads((full / "manifest.json").read_text())["schema"] == 2
    assert bundle.bev_network == (full / "bev.onnx").read_bytes()
    m = bundle.manifest
    assert (m.outputs, m.depth_focal_px, m.bev) == (("tokens", "depth", "bev"), 98.0, TINY_BEV)
    assert m.fingerprint == m.computed_fingerprint()


def test_refuses_a_bundle_without_its_birds_eye_view(full_copy: Path) -> None:
    (full_copy / "bev.onnx").unlink()
    with pytest.raises(CorruptError, match=r"lacks bev\.onnx; copy the whole folder"):
        open_bundle(full_copy)


@pytest.mark.parametrize("length", [0, 1, 500, -1])
def test_refuses_a_truncated_birds_eye_view(full_copy: Path, length: int) -> None:
    (full_copy / "bev.onnx").write_bytes((full_copy / "bev.onnx").read_bytes()[:length])
    with pytest.raises(CorruptError, match=r"bev\.onnx is not the file this bundle was sealed with"):
        open_bundle(full_copy)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"outputs": ["tokens", "depth"]}, r"other fields describe \['tokens', 'depth', 'bev'\]"),
        ({"outputs": ["bev", "depth", "tokens"]}, "declares the outputs"),
        ({"depth_focal_px": 0}, "depth_focal_px is 0, wanted a positive number"),
        ({"depth_focal_px": "98"}, "depth_focal_px is '98'"),
        ({"schema": 1}, "not those of schema 1"),
        ({"bev_sha256": None}, "go together"),
        ({"bev": {}}, "height_range_m"),
        ({"bev": TINY_BEV.as_json() | {"cells_x": 0}}, "cells_x must be a positive"),
        ({"bev": TINY_BEV.as_json() | {"depth_edges_m": [4, 2]}}, "edges must increase"),
        ({"bev": TINY_BEV.as_json() | {"height_range_m": [1, 1]}}, "run from low to high"),
        ({"bev": TINY_BEV.as_json() | {"layers": ["a", "a"]}}, "different names"),
        ({"bev": TINY_BEV.as_json() | {"layers": []}}, "different names"),
    ],
)
def test_refuses_a_full_manifest_that_does_not_fit(full_copy: Path, fields: dict[str, Any], words: str) -> None:
    _change(full_copy, **fields)
    with pytest.raises(CorruptError, match=words):
        open_bundle(full_copy)
