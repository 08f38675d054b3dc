"""Still images from disk or a message, decoded safely.

All still images go through Pillow: opening one reads the header only, so the size is known before a pixel is
decoded, and a truncated file is an error (OpenCV returns the missing half in grey). Pictures come out as RGB uint8
in the orientation they were taken in, whatever the file held.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from airside.errors import InputError

MAX_PIXELS = 50_000_000
MIN_SIDE_PX = 14  # one patch: nothing smaller can be looked at
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")  # fewer decoders, fewer ways in
_MID_GREY = 128
_BAND_PIXELS = 1 << 20  # converted band by band: a 50-megapixel picture never needs several copies of itself
_MAX_BYTES_PER_PIXEL = 8  # 16-bit RGBA, uncompressed
_METADATA_BYTES = 16 << 20
# What Pillow raises on damaged files beside OSError; each was met in practice (chunk, tag, EXIF and codec parsers).
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, KeyError, IndexError, TypeError, OverflowError)


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode the picture at ``path`` to [H, W, 3] uint8 RGB.

    Grey is repeated to RGB, transparency is laid over mid grey (128), 16-bit values are scaled to 8, palettes are
    resolved, EXIF orientation is applied. ``max_pixels`` counts width times height, read from the header before
    decoding (Pillow's own limit, 179 megapixels, stays above it).

    Raises :class:`InputError`, naming the path and what to do, when the file is missing, unreadable, empty, no
    image, truncated, larger than ``max_pixels`` or smaller than 14 px on a side.
    """
    return _whole_rgb(_open(Path(path), max_pixels))


def decode_image(
    data: bytes, name: str, *, max_pixels: int = MAX_PIXELS, formats: tuple[str, ...] = _FORMATS
) -> np.ndarray:
    """The picture encoded in ``data``, as :func:`read_image` gives it; ``name`` is how messages call it.

    Raises :class:`InputError` as :func:`read_image` does, also for a format that is none of ``formats``.
    """
    if not data:
        raise InputError(f"image {name}: it is empty")
    file = io.BytesIO(data)
    try:
        _check_webp_header(name, file, max_pixels)
        with _without_remarks():
            return _whole_rgb(_decode(name, file, max_pixels, formats))
    except MemoryError:
        raise InputError(f"image {name}: not enough memory to decode it; scale it down first") from None


def read_mask(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode the object mask at ``path`` to [H, W] bool, True on the object.

    A picture with real transparency is a cut-out: opaque (alpha 128 or more) is object. Otherwise anything but black
    is object; in a JPEG, whose black is noisy, 128 or more. Palette masks count by index, 0 is background.

    Raises :class:`InputError` as :func:`read_image` does, and when the mask marks nothing.
    """
    image = _open(Path(path), max_pixels)
    lossy = image.format in ("JPEG", "MPO")
    out = np.empty((image.height, image.width), bool)
    alpha = _alpha_of(image)
    if alpha is not None and alpha.getextrema()[0] < 255:  # type: ignore[operator]  # one band: a pair of numbers
        out[:] = np.asarray(alpha) >= 128
    else:
        for top, band in _bands(image):
            values = np.asarray(band) if band.mode == "P" else _rgb_from(band).max(axis=2)
            out[top : top + band.height] = values >= (128 if lossy else 1)
    if not out.any():
        raise InputError(f"mask {path}: nothing is marked; paint the object white on black, or leave the mask out")
    return out


def _open(path: Path, max_pixels: int) -> Image.Image:
    """A decoded, upright Pillow image, or :class:`InputError`. Nothing is decoded before the size is accepted."""
    try:
        _check_file(path, path.stat(), max_pixels)
        with path.open("rb") as file:
            _check_webp_header(path, file, max_pixels)
            with _without_remarks():
                return _decode(path, file, max_pixels, _FORMATS)
    except FileNotFoundError:
        raise InputError(f"image {path}: no such file; check the path") from None
    except PermissionError:
        raise InputError(f"image {path}: no permission to read it; run: chmod +r '{path}'") from None
    except MemoryError:
        raise InputError(f"image {path}: not enough memory to decode it; scale it down first") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise InputError(f"image {path}: cannot be read ({error}); check the path and the disk") from None


@contextlib.contextmanager
def _without_remarks() -> Iterator[None]:
    """Pillow's on damaged EXIF and on sizes above a limit that is looser than ours."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _check_file(path: Path, status: os.stat_result, max_pixels: int) -> None:
    """Before opening: a pipe would block, a folder has no pixels, a huge file would be read whole by some readers."""
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"image {path}: is a folder; name one picture inside it")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"image {path}: not a regular file; give a picture file")
    if status.st_size == 0:
        raise InputError(f"image {path}: the file is empty; copy it again from its source")
    if status.st_size > max_pixels * _MAX_BYTES_PER_PIXEL + _METADATA_BYTES:
        raise InputError(f"image {path}: {status.st_size:,} bytes is too large for a picture; scale it down first")


def _check_webp_header(path: Path | str, file: BinaryIO, max_pixels: int) -> None:
    """Pillow's WebP reader allocates the whole canvas while opening, so this one header is read here, before it."""
    head = file.read(30)
    file.seek(0)
    if len(head) < 30 or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return
    if head[12:16] == b"VP8X":
        width, height = int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    elif head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", head[26:30]))
    _check_size(path, width, height, max_pixels)


def _decode(path: Path | str, file: BinaryIO, max_pixels: int, formats: tuple[str, ...]) -> Image.Image:
    try:
        image = Image.open(file, formats=formats)
    except Image.DecompressionBombError as error:
        found = re.search(r"\((\d+) pixels\)", str(error))
        count = f"{int(found[1]):,} pixels" if found else str(error)
        raise _too_large(path, count, max_pixels) from None
    except UnidentifiedImageError:
        raise InputError(f"image {path}: not a picture airside can read ({', '.join(formats)})") from None
    except _DAMAGE as error:
        raise _damaged(path, error) from None
    _check_size(path, image.width, image.height, max_pixels)
    if image.mode in ("I", "F"):
        raise InputError(
            f"image {path}: 32-bit values (mode {image.mode}) have no fixed brightness; save it with 8 or 16 bits"
        )
    try:
        image.load()
    except _DAMAGE as error:
        raise _damaged(path, error) from None
    # A damaged EXIF block says nothing about orientation; the pixels themselves are sound.
    with contextlib.suppress(*_DAMAGE):
        ImageOps.exif_transpose(image, in_place=True)  # after load, which has already turned a TIFF
    return image


def _check_size(path: Path | str, width: int, height: int, max_pixels: int) -> None:
    if min(width, height) < MIN_SIDE_PX:
        raise InputError(
            f"image {path}: {width} x {height} px is too small; at least {MIN_SIDE_PX} px on each side are needed"
        )
    if width * height > max_pixels:
        raise _too_large(path, f"{width} x {height} = {width * height:,} pixels", max_pixels)


def _too_large(path: Path | str, count: str, max_pixels: int) -> InputError:
    return InputError(
        f"image {path}: {count} is more than the {max_pixels:,} allowed; scale it down first (nothing was decoded)"
    )


def _damaged(path: Path | str, error: BaseException) -> InputError:
    return InputError(f"image {path}: truncated or damaged ({error}); copy it again from its source")


def _whole_rgb(image: Image.Image) -> np.ndarray:
    out = np.empty((image.height, image.width, 3), np.uint8)
    for top, band in _bands(image):
        out[top : top + band.height] = _rgb_from(band)
    return out


def _bands(image: Image.Image) -> list[tuple[int, Image.Image]]:
    rows = max(1, _BAND_PIXELS // image.width)
    if rows >= image.height:
        return [(0, image)]
    return [
        (top, image.crop((0, top, image.width, min(top + rows, image.height)))) for top in range(0, image.height, rows)
    ]


def _alpha_of(image: Image.Image) -> Image.Image | None:
    if "transparency" in image.info and image.mode in ("P", "L", "RGB", "1"):
        image = image.convert("RGBA")
    return image.getchannel("A") if image.mode in ("RGBA", "LA", "PA") else None


def _rgb_from(image: Image.Image) -> np.ndarray:
    """[h, W, 3] uint8 of a band in any of Pillow's modes."""
    if image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.uint32)
        grey = ((wide * 255 + 32767) // 65535).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA"))
        alpha = rgba[:, :, 3:].astype(np.uint16)
        blended = (rgba[:, :, :3] * alpha + _MID_GREY * (255 - alpha) + 127) // 255
        return blended.astype(np.uint8)
    return np.asarray(image.convert("RGB"))
