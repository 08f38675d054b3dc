"""One version as one file: what goes in comes out, the id is of the contents, and no damage gets through."""

from __future__ import annotations

import errno
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import ZipStore

from airside.bank import snapshot
from airside.bank.bank import PrototypeBank
from airside.bank.contents import arrays_from_bank
from airside.bank.snapshot import SnapshotInfo, bank_digest, bank_from_zip, read_info, read_snapshot, zip_from_bank
from airside.errors import CorruptError, MismatchError, StorageError, UsageError
from tests.builders import tiny_bank

PROVENANCE: dict[str, Any] = {
    "number": 3,
    "parent": "a" * 64,
    "author": "Jörg",
    "message": "two\nlines",
    "created_utc": "2025-01-01T00:00:00.000+00:00",
}


def _bank(seed: int = 0, **sizes: Any) -> PrototypeBank:
    return tiny_bank(np.random.default_rng(seed), **sizes)


def _zip(bank: PrototypeBank | None = None, **changes: Any) -> tuple[bytes, SnapshotInfo]:
    return zip_from_bank(bank or _bank(), **(PROVENANCE | changes))


def _entries(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zip_from_entries(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _with_json(entry: str, change: Callable[[dict[str, Any]], object]) -> bytes:
    entries = _entries(_zip()[0])
    document = json.loads(entries[entry])
    change(document)
    entries[entry] = json.dumps(document).encode()
    return _zip_from_entries(entries)


@given(
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(0, 4),
    channels=st.integers(1, 6),
    prototypes=st.integers(1, 3),
    crops=st.integers(0, 2),
    guards=st.integers(0, 3),
    author=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    message=st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
)
@settings(max_examples=40, deadline=None)
def test_round_trip(seed: int, author: str, message: str, **sizes: Any) -> None:
    bank = _bank(seed, **sizes)
    data, info = _zip(bank, author=author, message=message)
    bank_back, info_back = bank_from_zip(data, "memory")
    assert info_back == info
    assert (info.author, info.message) == (author, message)
    assert bank_digest(bank_back) == bank_digest(bank)
    assert bank_back.names == bank.names
    assert bank_back.guard_names == bank.guard_names
    assert repr(bank_back.calibrations) == repr(bank.calibrations)  # repr: NaN
    for before, after in zip(bank.classes, bank_back.classes, strict=True):
        assert (before.kind, before.protected, before.support) == (after.kind, after.protected, after.support)
        assert np.array_equal(before.prototypes, after.prototypes)
        assert np.array_equal(before.mean, after.mean)
        assert np.array_equal(before.held_out_similarity, after.held_out_similarity)
    assert np.array_equal(bank_back.guard_tokens, bank.guard_tokens)


def test_zeros_are_stored_not_left_out() -> None:
    bank = _bank()
    zeros = np.zeros(4, np.float32)
    bank = replace(bank, classes=tuple(replace(c, held_out_similarity=zeros) for c in bank.classes))
    assert bank_digest(bank_from_zip(_zip(bank)[0], "memory")[0]) == bank_digest(bank)


def test_zarr_itself_opens_the_file(tmp_path: Path) -> None:
    bank = _bank()
    (tmp_path / "s.zarr.zip").write_bytes(_zip(bank)[0])
    group = zarr.open_group(ZipStore(tmp_path / "s.zarr.zip", mode="r"), mode="r")
    assert sorted(group.array_keys()) == ["guard_tokens", "held_out_similarity", "means", "prototypes", "support"]
    prototypes = group["prototypes"]
    assert isinstance(prototypes, zarr.Array)
    assert np.array_equal(np.asarray(prototypes[...]), np.concatenate([c.prototypes for c in bank.classes]))


@pytest.mark.parametrize("field", ["number", "parent", "author", "message", "created_utc"])
def test_id_covers_the_provenance(field: str) -> None:
    other: Any = {"number": 4, "parent": None}.get(field, "other")
    assert _zip(**{field: other})[1].id != _zip()[1].id


def test_id_covers_every_part_of_the_bank() -> None:
    bank = _bank()
    first = bank.classes[0]
    crop = replace(first.support[0], jpeg=first.support[0].jpeg + b"!")
    others = [
        replace(bank, model_fingerprint="0"),
        replace(bank, calibrations=()),
        replace(bank, guard_names=("x", "y")),
        replace(bank, guard_tokens=bank.guard_tokens[::-1]),
        *(
            replace(bank, classes=(changed, *bank.classes[1:]))
            for changed in (
                replace(first, name="other"),
                replace(first, protected=True),
                replace(first, pictures=7),
                replace(first, prototypes=first.prototypes[::-1]),
                replace(first, mean=-first.mean),
                replace(first, held_out_similarity=first.held_out_similarity[1:]),
                replace(first, support=(crop, *first.support[1:])),
            )
        ),
    ]
    digests = {bank_digest(b) for b in (bank, *others)}
    assert len(digests) == len(others) + 1
    assert len({_zip(b)[1].id for b in (bank, *others)}) == len(others) + 1


def test_id_is_of_the_contents_not_of_the_zip() -> None:
    data, info = _zip()
    other = _zip_from_entries(dict(reversed(_entries(data).items())))  # other order, other time stamps
    assert other != data
    assert bank_from_zip(other, "memory")[1] == info


def test_every_truncation_is_refused() -> None:
    data, _ = _zip()
    for length in {0, 1, 21, *range(0, len(data), 97), len(data) - 1}:
        with pytest.raises(CorruptError, match="damaged"):
            bank_from_zip(data[:length], "memory")


def test_no_flipped_byte_changes_what_is_read() -> None:
    data, info = _zip(_bank(classes=1, crops=1))
    refused = 0
    rng = np.random.default_rng(1)
    for position in rng.permutation(len(data))[:700]:
        damaged = bytearray(data)
        damaged[position] ^= int(rng.integers(1, 256))
        try:
            assert bank_from_zip(bytes(damaged), "memory")[1] == info  # a time stamp of the zip: not contents
        except CorruptError:
            refused += 1
    assert refused > 500


def _own(document: dict[str, Any]) -> dict[str, Any]:
    own: dict[str, Any] = document["attributes"]["airside_bank"]
    return own


def _huge(document: dict[str, Any]) -> None:
    document["shape"] = [2**40, 8]
    document["chunk_grid"]["configuration"]["chunk_shape"] = [2**40, 8]


@pytest.mark.parametrize(
    ("entry", "change", "words"),
    [
        ("zarr.json", lambda d: d.update(attributes={}), "KeyError"),
        ("zarr.json", lambda d: _own(d).pop("id"), "id"),
        ("zarr.json", lambda d: _own(d).update(id=5), "identity"),
        ("zarr.json", lambda d: _own(d).update(meta=[]), "identity"),
        ("zarr.json", lambda d: _own(d).update(id="0" * 64), "hash to"),
        ("zarr.json", lambda d: _own(d)["meta"].update(author="mallory"), "hash to"),
        ("zarr.json", lambda d: _own(d)["meta"].update(number=float("nan")), "not JSON compliant"),
        ("prototypes/zarr.json", lambda d: d.update(data_type="float64"), "wanted <f4"),
        ("prototypes/zarr.json", lambda d: d.update(data_type="int32", fill_value=0), "wanted <f4"),
        ("prototypes/zarr.json", _huge, "one plain chunk"),
        ("prototypes/zarr.json", lambda d: d["chunk_grid"]["configuration"].update(chunk_shape=[1, 8]), "plain chunk"),
        (
            "prototypes/zarr.json",
            lambda d: d["codecs"].append({"name": "gzip", "configuration": {"level": 1}}),
            "plain",
        ),
        ("prototypes/zarr.json", lambda d: d["codecs"][0]["configuration"].update(endian="big"), "hash to"),
        ("prototypes/zarr.json", lambda d: d.update(shape="x"), "damaged"),
        ("prototypes/zarr.json", lambda d: d.update(node_type="group"), "damaged"),
    ],
)
def test_wrong_json_is_refused(entry: str, change: Callable[[dict[str, Any]], object], words: str) -> None:
    with pytest.raises(CorruptError, match=words):
        bank_from_zip(_with_json(entry, change), "memory")


@pytest.mark.parametrize("entry", ["zarr.json", "prototypes/zarr.json", "prototypes/c/0/0", "support/c/0"])
def test_a_missing_entry_is_refused(entry: str) -> None:
    entries = _entries(_zip()[0])
    del entries[entry]
    with pytest.raises(CorruptError, match="damaged"):
        bank_from_zip(_zip_from_entries(entries), "memory")


def test_strange_zips_are_refused() -> None:
    entries = _entries(_zip()[0])
    with pytest.raises(CorruptError, match="unexpected"):
        bank_from_zip(_zip_from_entries(entries | {"more": b""}), "memory")
    with pytest.raises(CorruptError, match="compressed"):
        bank_from_zip(_zip_from_entries(entries, zipfile.ZIP_DEFLATED), "memory")
    buffer = io.BytesIO(_zip()[0])
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("zarr.json", entries["zarr.json"])
    with pytest.raises(CorruptError, match="twice"):
        bank_from_zip(buffer.getvalue(), "memory")


def test_an_overlong_root_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data, _ = _zip()
    monkeypatch.setattr(snapshot, "_MAX_ROOT_BYTES", 100)
    with pytest.raises(CorruptError, match="at most 100"):
        bank_from_zip(data, "memory")


def test_a_newer_format_says_upgrade() -> None:
    with pytest.raises(MismatchError, match="upgrade airside"):
        bank_from_zip(_with_json("zarr.json", lambda d: _own(d).update(schema=2)), "memory")


def _nan(arrays: dict[str, np.ndarray]) -> None:
    arrays["prototypes"][0, 0] = np.nan


def _short(arrays: dict[str, np.ndarray]) -> None:
    arrays["prototypes"] = arrays["prototypes"][:-1]


def _long(arrays: dict[str, np.ndarray]) -> None:
    arrays["support"] = np.append(arrays["support"], np.uint8(0))


@pytest.mark.parametrize(
    ("spoil", "words"), [(_nan, "NaN"), (_short, "rows, 2 are left"), (_long, "support: .* declared")]
)
def test_a_true_hash_over_wrong_contents_is_refused(
    spoil: Callable[[dict[str, np.ndarray]], None], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer with a fault signs what it wrote: the values are checked all the same."""
    original = arrays_from_bank

    def spoilt(bank: PrototypeBank) -> dict[str, np.ndarray]:
        arrays = {name: array.copy() for name, array in original(bank).items()}
        spoil(arrays)
        return arrays

    monkeypatch.setattr(snapshot, "arrays_from_bank", spoilt)
    data, _ = _zip()
    with pytest.raises(CorruptError, match=words):
        bank_from_zip(data, "memory")


@pytest.mark.parametrize("change", [{"number": 0}, {"number": "3"}, {"parent": 5}, {"created_utc": None}])
def test_provenance_of_the_wrong_kind_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="provenance"):
        _zip(**change)  # a programmer's error, not a user's
    path = tmp_path / "s.zarr.zip"
    path.write_bytes(_with_json("zarr.json", lambda d: _own(d)["meta"].update(change)))
    with pytest.raises(CorruptError, match="provenance"):
        read_info(path)


@pytest.mark.parametrize(
    "change", [{"author": ""}, {"author": None}, {"author": "a" * 4001}, {"message": "\ud800"}, {"message": b"m"}]
)
def test_texts_it_cannot_keep_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="characters of valid text"):
        _zip(**change)


def test_a_bank_too_large_to_read_back_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "MAX_SNAPSHOT_BYTES", snapshot._MAX_ROOT_BYTES + 100)
    with pytest.raises(UsageError, match="fewer or smaller support crops"):
        _zip()


def test_reading_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.zarr.zip"
    data, info = _zip()
    path.write_bytes(data)
    assert read_snapshot(path)[1] == read_info(path) == info
    for read in (read_snapshot, read_info):
        with pytest.raises(CorruptError, match="missing"):
            read(tmp_path / "no")
    with pytest.raises(StorageError, match="directory"):
        read_snapshot(tmp_path)
    path.write_bytes(data[:50])
    for read in (read_snapshot, read_info):
        with pytest.raises(CorruptError, match="damaged"):
            read(path)

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    for read in (read_snapshot, read_info):
        with pytest.raises(StorageError, match="give this user rights"):
            read(path)


def test_an_endless_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.zarr.zip"
    with path.open("wb") as file:
        file.truncate(snapshot.MAX_SNAPSHOT_BYTES + 1)
    with pytest.raises(CorruptError, match="at most"):
        read_snapshot(path)
