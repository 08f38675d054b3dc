"""Still images: everything that is accepted comes out right, everything else is refused before it costs anything."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from airside.cameras.decode import decode_image, read_image, read_mask
from airside.errors import InputError


def gradient(height: int = 20, width: int = 30) -> np.ndarray:
    """A picture of which every corner differs."""
    v, u = np.mgrid[:height, :width]
    return np.stack([u * 8, v * 12, np.full_like(u, 40)], axis=2).astype(np.uint8)


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces ``width`` x ``height`` RGB pixels, with a little data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    body = zlib.compress(bytes(100_000))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", body)
        + chunk(b"IEND", b"")
    )


def bmp_header(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1000, 0, 0, 54) + info + bytes(1000)


def jpeg_header(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG")
    data = bytearray(buffer.getvalue())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def tiff_header(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "TIFF")
    data = bytearray(buffer.getvalue())
    first = struct.unpack_from("<I", data, 4)[0]
    for i in range(struct.unpack_from("<H", data, first)[0]):
        entry = first + 2 + 12 * i
        tag = struct.unpack_from("<H", data, entry)[0]
        if tag in (256, 257):
            struct.pack_into("<HHII", data, entry, tag, 4, 1, width if tag == 256 else height)
    return bytes(data)


def webp_headers(width: int, height: int) -> list[bytes]:
    def riff(kind: bytes, data: bytes) -> bytes:
        return b"RIFF" + struct.pack("<I", len(data) + 12) + b"WEBP" + kind + struct.pack("<I", len(data)) + data

    def three(value: int) -> bytes:
        return (value - 1).to_bytes(3, "little")

    lossless = b"\x2f" + ((width - 1) | (height - 1) << 14).to_bytes(4, "little") + bytes(40)
    lossy = b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(40)
    return [
        riff(b"VP8X", bytes(4) + three(width) + three(height) + bytes(40)),
        riff(b"VP8L", lossless),
        riff(b"VP8 ", lossy),
    ]


BOMBS = {
    "png 400 MP": ("a.png", png_header(20_000, 20_000)),
    "png 80 MP": ("a.png", png_header(10_000, 8_000)),
    "png 120 MP": ("a.png", png_header(12_000, 10_000)),
    "bmp": ("a.bmp", bmp_header(20_000, 20_000)),
    "jpeg": ("a.jpg", jpeg_header(20_000, 20_000)),
    "tiff": ("a.tif", tiff_header(20_000, 20_000)),
    "webp extended": ("a.webp", webp_headers(16_000, 16_000)[0]),
    "webp lossless": ("a.webp", webp_headers(16_000, 16_000)[1]),
    "webp lossy": ("a.webp", webp_headers(16_000, 16_000)[2]),
}


@pytest.mark.parametrize("name", BOMBS)
def test_refuses_too_many_pixels(tmp_path: Path, name: str) -> None:
    file, data = BOMBS[name]
    path = tmp_path / file
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"pixels is more than the 50,000,000 allowed") as caught:
        read_image(path)
    assert str(path) in str(caught.value)


# The peak of this process alone: ru_maxrss would start from the parent's.
PROGRAM = """
import sys
from airside.cameras.decode import read_image
from airside.errors import InputError

def peak_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

before = peak_kib()
try:
    read_image(sys.argv[1])
except InputError as error:
    print("refused", peak_kib() - before)
else:
    print("read", peak_kib() - before)
"""


def peak_of_reading(path: Path) -> tuple[str, int]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    verdict, kib = done.stdout.split()
    return verdict, int(kib)


@pytest.mark.parametrize("name", BOMBS)
def test_refusal_costs_no_memory(tmp_path: Path, name: str) -> None:
    file, data = BOMBS[name]
    path = tmp_path / file
    path.write_bytes(data)
    verdict, kib = peak_of_reading(path)
    assert verdict == "refused"
    assert kib < 32 * 1024


def test_the_largest_picture_allowed_stays_below_a_gigabyte(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGBA", (7000, 7000), (200, 100, 50, 128)).save(path, compress_level=1)
    verdict, kib = peak_of_reading(path)
    assert verdict == "read"
    assert 100 * 1024 < kib < 700 * 1024  # the lower bound shows that the measure above can fail


def truncated(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(buffer, kind)
    return buffer.getvalue()[: len(buffer.getvalue()) * 2 // 3]


REFUSED = {
    "empty": (b"", "empty"),
    "text": (b"hello, this is no picture", "not a picture"),
    "png magic alone": (b"\x89PNG\r\n\x1a\n", "not a picture|damaged"),
    "png cut": (truncated("PNG"), "truncated or damaged"),
    "jpeg cut": (truncated("JPEG"), "truncated or damaged"),
    "bmp cut": (truncated("BMP"), "truncated or damaged"),
    "webp cut": (truncated("WEBP"), "truncated or damaged|not a picture"),
    "tiff cut": (truncated("TIFF"), "truncated or damaged|not a picture"),
    "gif": (b"GIF89a" + bytes(64), "not a picture"),
    "1x1": (png_header(1, 1), "at least 14 px"),
    "one side short": (png_header(400, 13), "at least 14 px"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("reader", [read_image, read_mask])
def test_refuses(tmp_path: Path, name: str, reader) -> None:  # type: ignore[no-untyped-def]
    data, message = REFUSED[name]
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        reader(path)
    assert str(path) in str(caught.value)


def test_refuses_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_image(tmp_path / "missing.png")
    with pytest.raises(InputError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_image("a\0b.png")
    with pytest.raises(InputError, match="cannot be read"):
        read_image("x" * 5000)
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="not a regular file"):
        read_image(tmp_path / "pipe.png")
    Image.fromarray(gradient()).save(tmp_path / "secret.png")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(InputError, match=r"no permission to read it; run: chmod"):
        read_image(tmp_path / "secret.png")


def test_refuses_a_file_far_larger_than_its_pixels_could_be(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(500 << 20)  # sparse: takes no disk
    with pytest.raises(InputError, match="too large for a picture"):
        read_image(path)


def test_refuses_32_bit_values(tmp_path: Path) -> None:
    for name, values in {"f.tif": np.full((20, 20), np.nan, np.float32), "i.tif": np.ones((20, 20), np.int32)}.items():
        Image.fromarray(values).save(tmp_path / name)
        with pytest.raises(InputError, match="32-bit values"):
            read_image(tmp_path / name)


def test_max_pixels_is_the_callers(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(gradient(20, 30)).save(path)
    assert read_image(path, max_pixels=600).shape == (20, 30, 3)
    with pytest.raises(InputError, match="30 x 20 = 600 pixels is more than the 599"):
        read_image(path, max_pixels=599)


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp", "tif"])
def test_rgb_exactly(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(gradient()).save(path, lossless=True)
    image = read_image(path)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, gradient())


def test_grey_and_alpha(tmp_path: Path) -> None:
    grey = gradient()[:, :, 0]
    alpha = np.zeros_like(grey)
    alpha[:, 10:20], alpha[:, 20:] = 128, 255
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.repeat(grey[:, :, None], 3, axis=2))

    def over_grey(channel: np.ndarray) -> np.ndarray:
        return np.round((channel * (alpha / 255.0)) + 128 * (1 - alpha / 255.0))

    Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)]).save(tmp_path / "la.png")
    np.testing.assert_allclose(read_image(tmp_path / "la.png")[:, :, 1], over_grey(grey), atol=1)
    rgba = np.dstack([gradient(), alpha])
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    image = read_image(tmp_path / "rgba.png")
    assert (image[:, :10] == 128).all()
    for channel in range(3):
        np.testing.assert_allclose(image[:, :, channel], over_grey(rgba[:, :, channel]), atol=1)


def test_16_bit_palette_bilevel_and_cmyk(tmp_path: Path) -> None:
    wide = (gradient()[:, :, 0].astype(np.uint16) * 257)[:, ::-1]
    for name in ("wide.png", "wide.tif"):
        Image.fromarray(np.ascontiguousarray(wide)).save(tmp_path / name)
        np.testing.assert_array_equal(read_image(tmp_path / name)[:, :, 2], gradient()[:, ::-1, 0])
    flat = np.zeros((20, 20, 3), np.uint8)
    flat[:, 10:] = (200, 30, 90)
    Image.fromarray(flat).quantize(4).save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png"), flat)
    Image.fromarray(flat[:, :, 0] > 0).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_image(tmp_path / "bits.png")[:, :, 0], np.where(flat[:, :, 0] > 0, 255, 0))
    Image.fromarray(flat).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100)
    assert np.abs(read_image(tmp_path / "cmyk.jpg").astype(int) - flat).mean() < 6


ORIENTATIONS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "jpg"])
def test_exif_orientation(tmp_path: Path, orientation: int, suffix: str) -> None:
    stored = np.zeros((24, 40, 3), np.uint8)
    stored[:12, :20], stored[:12, 20:], stored[12:, :20] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    extra = {"quality": 100, "subsampling": 0} if suffix == "jpg" else {"lossless": True}
    Image.fromarray(stored).save(path, exif=exif, **extra)
    wanted = ORIENTATIONS[orientation](stored)  # type: ignore[no-untyped-call]
    image = read_image(path)
    assert image.shape == wanted.shape
    assert np.abs(image.astype(int) - wanted).max() <= (4 if suffix == "jpg" else 0)


def test_damaged_exif_leaves_the_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(gradient()).save(path, exif=b"Exif\0\0MM\0*" + b"\xff" * 30)
    assert read_image(path).shape == (20, 30, 3)


def test_large_pictures_are_converted_in_bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(gradient(20, 30)).save(path)
    monkeypatch.setattr("airside.cameras.decode._BAND_PIXELS", 30 * 7)
    np.testing.assert_array_equal(read_image(path), gradient(20, 30))


def test_masks(tmp_path: Path) -> None:
    wanted = np.zeros((20, 30), bool)
    wanted[5:15, 8:20] = True
    for name, values in {"255.png": wanted * 255, "1.png": wanted * 1}.items():
        Image.fromarray(values.astype(np.uint8)).save(tmp_path / name)
        mask = read_mask(tmp_path / name)
        assert mask.dtype == np.bool_
        np.testing.assert_array_equal(mask, wanted)
    palette = Image.fromarray(wanted.astype(np.uint8))
    palette.putpalette([255, 255, 255, 0, 0, 0])  # index 0 is background, whatever its colour
    palette.save(tmp_path / "p.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "p.png"), wanted)
    Image.fromarray((wanted * 255).astype(np.uint8)).save(tmp_path / "a.jpg", quality=60)
    assert (read_mask(tmp_path / "a.jpg") != wanted).mean() < 0.02
    cut_out = np.zeros((20, 30, 4), np.uint8)  # black object on nothing
    cut_out[wanted, 3] = 255
    Image.fromarray(cut_out).save(tmp_path / "cut.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "cut.png"), wanted)


def test_a_mask_must_mark_something(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(InputError, match="nothing is marked"):
        read_mask(tmp_path / "m.png")


def encoded(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(gradient()).save(buffer, kind)
    return buffer.getvalue()


def test_a_picture_from_a_message() -> None:
    assert np.array_equal(decode_image(encoded("PNG"), "/front 3"), gradient())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "image /front 3: it is empty"),
        (encoded("PNG")[:60], "image /front 3: truncated or damaged"),
        (b"no picture", r"not a picture airside can read \(JPEG, PNG\)"),
        (encoded("BMP"), r"not a picture airside can read \(JPEG, PNG\)"),
        (png_header(9000, 9000), r"9000 x 9000 = 81,000,000 pixels is more than .* \(nothing was decoded\)"),
        (png_header(60_000, 60_000), r"3,600,000,000 pixels is more than"),
        (png_header(8, 200), "too small"),
    ],
)
def test_a_message_that_is_no_picture(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        decode_image(data, "/front 3", formats=("JPEG", "PNG"))
