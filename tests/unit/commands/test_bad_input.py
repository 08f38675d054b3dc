"""What people really type and disks really hold: a clear message, the right exit code, nothing lost."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

Call = Callable[..., SimpleNamespace]
ROOT = Path(__file__).parents[3]


def _sound() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (112, 196, 3), np.uint8)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _truncated(path: Path) -> None:
    Image.fromarray(_sound()).save(path)
    path.write_bytes(path.read_bytes()[:-2000])


def _speck(path: Path) -> None:
    Image.new("RGB", (1, 1)).save(path)


def _float(path: Path) -> None:
    Image.fromarray(np.full((112, 196), np.nan, np.float32)).save(path)


def _huge(path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(path)


def _folder(path: Path) -> None:
    path.mkdir()


BAD_PICTURES = [
    ("missing.png", lambda path: None, "no such file"),
    ("empty.png", _empty, "empty"),
    ("truncated.png", _truncated, "truncated or damaged"),
    ("speck.png", _speck, "too small"),
    ("float.tif", _float, "no fixed brightness"),
    ("huge.png", _huge, "400,000,000 pixels"),
    ("text.png", lambda path: path.write_text("hello"), "not a picture"),
]


@pytest.mark.parametrize(("name", "make", "said"), BAD_PICTURES, ids=[name for name, *_ in BAD_PICTURES])
@pytest.mark.parametrize("command", ["run", "register"])
def test_bad_pictures(
    shop: SimpleNamespace, airside: Call, command: str, name: str, make: Callable[[Path], None], said: str
) -> None:
    path = shop.path / name
    make(path)
    head = shop.store.head_id()
    words = ["run", path, "--out", shop.path / "out"] if command == "run" else ["register", "tug", shop.images[0], path]
    answer = airside(*words, *shop.common)
    assert answer.code == 3
    assert answer.err.splitlines()[-1].startswith("airside: ")
    assert said in answer.err
    assert str(path) in answer.err
    assert shop.store.head_id() == head


@pytest.mark.parametrize("mode", ["L", "RGBA", "LA", "P", "I;16", "exif"])
def test_odd_but_sound_pictures(shop: SimpleNamespace, airside: Call, mode: str) -> None:
    sound = Image.fromarray(_sound())
    path = shop.path / "odd.png"
    if mode == "exif":
        path = shop.path / "odd.jpg"
        sound = sound.resize((980, 560))
        exif = Image.Exif()
        exif[0x0112] = 6  # taken upright
        sound.save(path, exif=exif)
    elif mode == "I;16":
        Image.fromarray(np.asarray(sound.convert("L")).astype(np.uint16) * 257).save(path)
    else:
        sound.convert(mode).save(path)
    assert airside("run", path, *shop.common, "--out", shop.path / "out").code == 0
    box = "180,480,320,560" if mode == "exif" else "60,60,120,110"
    assert airside("register", "thing", path, "--box", box, *shop.common).code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("tug", "@IMAGE", "@IMAGE", "--box", "1,1,50,50"), 2, "2 pictures came with 1 boxes"),
        (("tug", "@IMAGE", "--box", "1,1,50,50", "--box", "1,1,50,50"), 2, "1 pictures came with 2 boxes"),
        (("tug", "@IMAGE", "--box", "50,50,10,10"), 3, "no area"),
        (("tug", "@IMAGE", "--box", "900,900,950,950"), 3, "outside the 196x112 picture"),
        (("tug", "@IMAGE", "--box", "nan,0,50,50"), 3, "no area"),
        (("tug", "@IMAGE", "--box", "1.2,1.2,1.3,1.3"), 3, "large enough"),
        (("tug", "@IMAGE", "--mask", "@IMAGE.missing"), 3, "no such file"),
        (("tug", "@IMAGE", "--mask", "@SMALL"), 3, "mask @SMALL is 20 x 20 px, its picture @IMAGE is 196 x 112"),
        (("tug", "@IMAGE", "--mask", "@BLACK"), 3, "nothing is marked"),
        ((" tug", "@IMAGE"), 2, "no class name"),
        (("", "@IMAGE"), 2, "no class name"),
        (("a\nb", "@IMAGE"), 2, "printable"),
    ],
)
def test_bad_registrations(shop: SimpleNamespace, airside: Call, words: tuple[str, ...], code: int, said: str) -> None:
    files = {"@IMAGE": str(shop.images[0]), "@SMALL": str(shop.path / "s.png"), "@BLACK": str(shop.path / "b.png")}
    cv2.imwrite(files["@SMALL"], np.full((20, 20), 255, np.uint8))
    cv2.imwrite(files["@BLACK"], np.zeros((112, 196), np.uint8))

    def real(text: str) -> str:
        for word, file in files.items():
            text = text.replace(word, file)
        return text

    answer = airside("register", *(real(word) for word in words), *shop.common)
    assert answer.code == code
    assert real(said) in answer.err
    assert shop.store.head().number == 1


WITH = ("--bank", "@BANK", "--model", "@MODEL", "--out", "@OUT")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("run", "@APRON", *WITH, "--bank", "@NOWHERE"), 2, "airside bank init --bank @NOWHERE"),
        (("register", "tug", "@IMAGE", "--bank", "@NOWHERE", "--model", "@MODEL"), 2, "airside bank init --bank"),
        (("bank", "show", "--bank", "@IMAGE"), 2, "no bank at @IMAGE"),
        (("bank", "verify", "--bank", "@NOWHERE"), 2, "no bank at"),
        (("run", "@APRON", "--bank", "@BANK", "--model", "@APRON", "--out", "@OUT"), 5, "lacks model.onnx"),
        (("run", "@APRON", "--bank", "@BANK", "--model", "@NOWHERE", "--out", "@OUT"), 3, "not a model bundle"),
        (("run", "@APRON", *WITH, "--out", "@IMAGE"), 2, "@IMAGE is a file"),
        (("run", "@APRON", *WITH, "--out", "@IMAGE/deeper"), 2, "is a file"),
        (("run", "@APRON", *WITH, "--method", "magic"), 2, "default, tail, prowl"),
        (("run", "@APRON", *WITH, "--rig", "@IMAGE"), 2, "@IMAGE"),
        (("run", "@APRON", *WITH, "--site", "@NOWHERE"), 2, "cannot be read"),
        (("run", "@NOWHERE", *WITH), 3, "no such file or folder"),
        (("run", "@EMPTY", *WITH), 3, "holds no picture"),
        (("run", "/dev/video97", *WITH), 8, "not there"),
        (("run", "http://x/y", *WITH), 2, "rtsp"),
    ],
)
def test_bad_places(shop: SimpleNamespace, airside: Call, words: tuple[str, ...], code: int, said: str) -> None:
    (shop.path / "empty").mkdir()
    places = {"@APRON": shop.apron, "@BANK": shop.bank, "@MODEL": shop.model, "@IMAGE": shop.images[0],
              "@NOWHERE": shop.path / "nowhere", "@OUT": shop.path / "out", "@EMPTY": shop.path / "empty"}  # fmt: skip

    def real(text: str) -> str:
        for word, place in places.items():
            text = text.replace(word, str(place))
        return text

    answer = airside(*(real(word) for word in words))
    assert answer.code == code, answer.err
    assert real(said) in answer.err
    assert not (shop.path / "nowhere").exists()


def _limited(words: list[str], file_bytes: int | None = None) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        if file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    program = (
        "import sys; from airside.cli import main; code = main(); "
        # Not ru_maxrss: that begins with what the process was forked from, here the whole suite.
        "lines = open('/proc/self/status').read().splitlines(); "
        "print('peak', next(l.split()[1] for l in lines if l.startswith('VmHWM')), file=sys.stderr); sys.exit(code)"
    )
    return subprocess.run([sys.executable, "-c", program, *words], cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"},
                          preexec_fn=limit, capture_output=True, text=True, timeout=120)  # fmt: skip


@pytest.mark.parametrize("command", ["run", "register"])
def test_a_400_megapixel_picture_costs_no_memory(shop: SimpleNamespace, command: str) -> None:
    _huge(shop.path / "huge.png")
    picture = str(shop.path / "huge.png")
    words = ["run", picture, "--out", str(shop.path / "out")] if command == "run" else ["register", "tug", picture]
    done = _limited([*words, *shop.common])
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert int(done.stderr.split("peak ")[1]) < 1_000_000  # kB


@pytest.mark.parametrize("command", ["run", "register"])
def test_a_full_disk(shop: SimpleNamespace, command: str) -> None:
    """The nearest thing to one that needs no mount: the kernel refuses every file beyond 2000 bytes."""
    head = shop.store.head_id()
    words = ["run", str(shop.apron), *shop.common, "--out", str(shop.path / "out")]
    done = _limited(words if command == "run" else shop.register_words(), file_bytes=2000)
    assert done.returncode == 6, done.stderr
    assert "Traceback" not in done.stderr
    assert "airside: " in done.stderr
    assert shop.store.head_id() == head
    assert shop.store.verify().ok
    assert not list(shop.path.rglob(".*partial*"))
