"""Compressed parts of recordings, unpacked up to a limit: a few bytes may not become all of the memory."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType

from airside.errors import InputError, UnavailableError

MAX_BYTES = 512 << 20  # of one chunk or message; a raw picture of 50 megapixels in RGBA has 200 MB
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_MODULE = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"


def recording_library(name: str) -> ModuleType:
    """The module ``name`` of a library that only recordings need; :class:`UnavailableError` where it is not there."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UnavailableError(f"recordings need {name} ({error}); run: pip install 'airside[vehicle]'") from None


def unpack(data: bytes, method: str, max_bytes: int = MAX_BYTES) -> bytes:
    """``data`` unpacked by ``method`` ('' leaves it); :class:`InputError` where it is damaged, too long or unknown."""
    if method not in _METHODS:
        raise InputError(f"compressed by {method!r}; known are lz4 and zstd")
    plain = _METHODS[method](data, max_bytes + 1)
    if len(plain) > max_bytes:
        raise InputError(f"unpacks to more than the {max_bytes:,} bytes allowed")
    return plain


def unpacked_message(data: bytes) -> bytes:
    """A message as it was sent; recorders may have compressed each with zstd, whose mark no CDR message begins with."""
    return unpack(data, "zstd") if data[:4] == _ZSTD_MAGIC else data


def _plain(data: bytes, max_bytes: int) -> bytes:
    return data


def _zstd(data: bytes, max_bytes: int) -> bytes:
    zstd = recording_library(_ZSTD_MODULE)
    try:
        return bytes(zstd.ZstdDecompressor().decompress(data, max_bytes))
    except (zstd.ZstdError, EOFError) as error:
        raise InputError(f"damaged ({error})") from None


def _lz4(data: bytes, max_bytes: int) -> bytes:
    try:
        return bytes(recording_library("lz4.frame").LZ4FrameDecompressor().decompress(data, max_bytes))
    except (RuntimeError, EOFError, ValueError) as error:
        raise InputError(f"damaged ({error})") from None


_METHODS: dict[str, Callable[[bytes, int], bytes]] = {"": _plain, "zstd": _zstd, "lz4": _lz4}
