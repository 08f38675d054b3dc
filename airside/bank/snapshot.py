"""One version of a bank as ONE zarr (v3) zip file: a few arrays, and canonical JSON in the group's attributes.

The id is the SHA-256 of the contents (arrays' dtype, shape and bytes, and the JSON, which includes number, parent,
author, message and time), never of the zip's bytes. Everything is stored uncompressed with one chunk per array:
the vectors do not compress, the crops already are, and no declared size can exceed the file's own.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.abc.store import Store
from zarr.buffer import cpu
from zarr.codecs import BytesCodec
from zarr.storage import MemoryStore

from airside.bank.bank import PrototypeBank
from airside.bank.contents import DTYPE_AND_NDIM, arrays_from_bank, bank_from_contents, meta_from_bank
from airside.bank.durable import storage_error_from_os_error
from airside.errors import AirsideError, CorruptError, MismatchError, UsageError

SCHEMA = 1
MAX_SNAPSHOT_BYTES = 192 << 20  # read, decoded and re-encoded in memory: stays below 1 GB
_MAX_ROOT_BYTES = 32 << 20
_MAX_TEXT_CHARS = 4000
_ROOT = "zarr.json"
# What json, zipfile and zarr raise on bytes that are not what they should be; none of them has one root.
_PARSER_ERRORS = (
    *(zipfile.BadZipFile, struct.error, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError),
    *(RuntimeError, ArithmeticError, MemoryError),
)


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """Where a version came from."""

    id: str  # 64 hex digits
    parent: str | None  # id of the version it was made from; None for the first
    author: str
    message: str
    created_utc: str  # ISO 8601
    number: int  # 1, 2, 3, ... in order of writing; gaps are normal


def zip_from_bank(
    bank: PrototypeBank, *, number: int, parent: str | None, author: str, message: str, created_utc: str
) -> tuple[bytes, SnapshotInfo]:
    """The file's bytes and what it says of itself. Raises :class:`UsageError` on texts or sizes it cannot keep."""
    for what, text, least in (("author", author, 1), ("message", message, 0)):
        if not isinstance(text, str) or not least <= len(text) <= _MAX_TEXT_CHARS or not _is_utf8(text):
            raise UsageError(f"{what}: wanted {least} to {_MAX_TEXT_CHARS} characters of valid text; got {text!r:.60}")
    arrays = arrays_from_bank(bank)
    size_bytes = sum(array.nbytes for array in arrays.values())
    if size_bytes > MAX_SNAPSHOT_BYTES - _MAX_ROOT_BYTES:
        raise UsageError(
            f"the bank needs {size_bytes >> 20} MiB, a snapshot holds at most "
            f"{(MAX_SNAPSHOT_BYTES - _MAX_ROOT_BYTES) >> 20}: keep fewer or smaller support crops"
        )
    meta = meta_from_bank(bank) | {
        "number": number,
        "parent": parent,
        "author": author,
        "message": message,
        "created_utc": created_utc,
    }
    info = _info_from_meta(_digest(meta, arrays), meta)
    entries: dict[str, Any] = {}
    attributes = {"airside_bank": {"schema": SCHEMA, "id": info.id, "meta": meta}}
    group = zarr.create_group(MemoryStore(entries), zarr_format=3, attributes=attributes)
    for name, array in arrays.items():
        one_chunk = tuple(max(1, length) for length in array.shape)
        group.create_array(
            name, data=array, chunks=one_chunk, compressors=None, filters=None, config={"write_empty_chunks": True}
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(entries):
            archive.writestr(zipfile.ZipInfo(name), entries[name].to_bytes())
    return buffer.getvalue(), info


def read_snapshot(path: Path) -> tuple[PrototypeBank, SnapshotInfo]:
    """The bank in ``path``, its hash verified. Raises :class:`CorruptError` on any damage to what it holds,
    :class:`MismatchError` on a newer format, :class:`StorageError` when the file cannot be read."""
    return bank_from_zip(_read_bounded(path), str(path))


def bank_from_zip(data: bytes, name: str) -> tuple[PrototypeBank, SnapshotInfo]:
    """As :func:`read_snapshot`, from the file's bytes; ``name`` is used in messages."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _require_plain(archive)
            entries = {entry: archive.read(entry) for entry in archive.namelist()}  # read() checks each CRC
        declared_id, meta = _identity_from_root(entries[_ROOT], name)
        arrays = _arrays_from_entries(entries)
        actual_id = _digest(meta, arrays)
        if actual_id != declared_id:
            raise ValueError(f"its contents hash to {actual_id[:12]}, it says {declared_id[:12]}")
        return bank_from_contents(meta, arrays), _info_from_meta(actual_id, meta)
    except (MismatchError, CorruptError):
        raise
    except (AirsideError, *_PARSER_ERRORS) as error:
        raise CorruptError(f"snapshot {name} is damaged: {_reason(error)}") from error


def read_info(path: Path) -> SnapshotInfo:
    """What ``path`` says of itself, quickly: the arrays and the hash are NOT checked."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            _require_plain(archive)
            return _info_from_meta(*_identity_from_root(archive.read(_ROOT), str(path)))
    except FileNotFoundError as error:
        raise CorruptError(f"snapshot {path} is missing") from error
    except PermissionError as error:
        raise storage_error_from_os_error("reading", path, error) from error
    except _PARSER_ERRORS as error:
        raise CorruptError(f"snapshot {path} is damaged: {_reason(error)}") from error


def bank_digest(bank: PrototypeBank) -> str:
    """SHA-256 of a bank's contents alone: equal for equal banks, whoever stored them and when."""
    return _digest(meta_from_bank(bank), arrays_from_bank(bank))


def _digest(meta: dict[str, Any], arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(f"airside bank snapshot {SCHEMA}\n".encode())
    heads = {name: [array.dtype.str, list(array.shape)] for name, array in arrays.items()}
    for document in (meta, heads):  # length first, so that no two contents give the same stream
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()
        digest.update(len(text).to_bytes(8, "little") + text)
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).data if arrays[name].size else b"")
    return digest.hexdigest()


def _arrays_from_entries(entries: dict[str, bytes]) -> dict[str, np.ndarray]:
    """Every array, its declared size compared with the bytes that are there before anything is allocated."""
    expected = {_ROOT} | {f"{name}/{_ROOT}" for name in DTYPE_AND_NDIM}
    chunk_from_name = {name: f"{name}/c" + "/0" * ndim for name, (_, ndim) in DTYPE_AND_NDIM.items()}
    missing, extra = expected - entries.keys(), entries.keys() - expected - set(chunk_from_name.values())
    if missing or extra:
        raise ValueError(f"entries missing: {sorted(missing)}, unexpected: {sorted(extra)}")
    store: Store = MemoryStore({name: cpu.Buffer.from_bytes(data) for name, data in entries.items()})
    group = zarr.open_group(store, mode="r", zarr_format=3)
    arrays = {}
    for name, (dtype, ndim) in DTYPE_AND_NDIM.items():
        stored = group[name]
        if not isinstance(stored, zarr.Array) or stored.dtype != np.dtype(dtype) or stored.ndim != ndim:
            raise ValueError(f"array {name}: wanted {dtype} with {ndim} axes, got {stored}")
        there = len(entries.get(chunk_from_name[name], b""))
        needed = math.prod(stored.shape) * stored.dtype.itemsize
        one_chunk = tuple(max(1, length) for length in stored.shape)
        codecs = getattr(stored.metadata, "codecs", ())
        if needed != there or stored.chunks != one_chunk or [type(codec) for codec in codecs] != [BytesCodec]:
            raise ValueError(f"array {name}: {stored.shape} {dtype} in one plain chunk is {needed} bytes, got {there}")
        array = np.asarray(stored[...])
        array.flags.writeable = False
        arrays[name] = array
    return arrays


def _identity_from_root(root: bytes, name: str) -> tuple[str, dict[str, Any]]:
    own = json.loads(root)["attributes"]["airside_bank"]
    if own["schema"] != SCHEMA:
        raise MismatchError(
            f"snapshot {name} has format {own['schema']!r:.20}, this airside reads {SCHEMA}: upgrade airside to read it"
        )
    if not isinstance(own["id"], str) or not isinstance(own["meta"], dict):
        raise ValueError("its identity is not text and a table")
    return own["id"], own["meta"]


def _info_from_meta(snapshot_id: str, meta: dict[str, Any]) -> SnapshotInfo:
    info = SnapshotInfo(
        snapshot_id, meta["parent"], meta["author"], meta["message"], meta["created_utc"], meta["number"]
    )
    texts = (info.id, info.parent or "", info.author, info.message, info.created_utc)
    if not all(isinstance(text, str) for text in texts) or not isinstance(info.number, int) or info.number < 1:
        raise ValueError(f"its provenance is not what it should be: {info}")
    return info


def _require_plain(archive: zipfile.ZipFile) -> None:
    names = archive.namelist()
    if len(names) != len(set(names)):
        raise ValueError("it holds an entry twice")
    for entry in archive.infolist():
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise ValueError(f"{entry.filename} is compressed; snapshots are stored plain")
        if entry.filename == _ROOT and entry.file_size > _MAX_ROOT_BYTES:
            raise ValueError(f"{_ROOT} has {entry.file_size} bytes, at most {_MAX_ROOT_BYTES} are read")


def _read_bounded(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if size_bytes <= MAX_SNAPSHOT_BYTES:
                return file.read()
    except FileNotFoundError as error:
        raise CorruptError(f"snapshot {path} is missing") from error
    except OSError as error:
        raise storage_error_from_os_error("reading", path, error) from error
    raise CorruptError(f"snapshot {path} is damaged: {size_bytes} bytes, at most {MAX_SNAPSHOT_BYTES} are read")


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
