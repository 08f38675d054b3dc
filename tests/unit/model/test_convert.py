"""A pickle becomes safetensors with the same names and values, and runs nothing on the way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from airside.errors import InputError, StorageError, UsageError
from airside.model.backbone import load_backbone
from airside.model.convert import convert_pickle
from tests import weight_files


def test_the_same_names_and_values(tmp_path: Path) -> None:
    weights = weight_files.official(registers=True)
    weights["half"] = torch.arange(6.0).half().reshape(2, 3).T
    weights["twice"] = weights["norm.weight"]
    torch.save(weights, tmp_path / "a.pth")
    assert convert_pickle(tmp_path / "a.pth", tmp_path / "a.safetensors") == len(weights)
    came = load_file(tmp_path / "a.safetensors")
    assert came.keys() == weights.keys()
    assert all(torch.equal(came[key], value) and came[key].dtype == value.dtype for key, value in weights.items())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pth", "a.safetensors"]


def test_the_way_from_the_official_pickle_to_the_backbone(tmp_path: Path) -> None:
    torch.save(weight_files.official(registers=True), tmp_path / "dinov2.pth")
    convert_pickle(tmp_path / "dinov2.pth", tmp_path / "dinov2.safetensors")
    name, shape = weight_files.name_of(registers=True), weight_files.architecture()
    backbone = load_backbone(name, weights=tmp_path / "dinov2.safetensors", image_size=(42, 70), **shape)
    assert backbone.position_embedding == "bicubic, antialias"


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_code_in_a_pickle_does_not_run(tmp_path: Path) -> None:
    torch.save({"a": _Evil(tmp_path / "ran")}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match="cannot be read as a checkpoint of weights only"):
        convert_pickle(tmp_path / "evil.pth", tmp_path / "out.safetensors")
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("content", [b"", b"x", b"PK\x03\x04 cut off", b"\x80\x02."])
def test_refuses_what_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.pth"):
        convert_pickle(tmp_path / "a.pth", tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "holds a dict"),
        ([torch.zeros(1)], "holds a list"),
        (torch.zeros(1), "holds a Tensor"),
        ({"model": {"a": torch.zeros(1)}, "epoch": 3}, "no flat mapping.*epoch, model hold"),
        ({1: torch.zeros(1)}, "no flat mapping"),
    ],
)
def test_refuses_what_is_no_flat_mapping(tmp_path: Path, content: Any, words: str) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(InputError, match=words):
        convert_pickle(tmp_path / "a.pth", tmp_path / "a.safetensors")


def test_refuses_missing_sources_and_wrong_targets(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(InputError, match="there is no checkpoint"):
        convert_pickle(tmp_path / "b.pth", tmp_path / "b.safetensors")
    with pytest.raises(UsageError, match=r"ends in \.safetensors"):
        convert_pickle(tmp_path / "a.pth", tmp_path / "a.pt")
    with pytest.raises(StorageError, match="cannot be written"):
        convert_pickle(tmp_path / "a.pth", tmp_path / "nowhere" / "a.safetensors")
    (tmp_path / "a.safetensors").write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists already"):
        convert_pickle(tmp_path / "a.pth", tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == b"mine"
