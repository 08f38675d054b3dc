"""A small workshop: a real model bundle, a bank that it made, pictures, and the command line called in-process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from airside.bank.store import BankStore
from airside.cli import main
from airside.commands.engine_choice import ready_engine
from airside.engine.onnx import load_engine
from tests.builders import apron_like_picture, taught_bank, tiny_bundle

RED, GREEN = (200, 40, 30), (20, 160, 40)


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Workshop:
    path: Path
    model: Path
    bank: Path
    apron: Path  # 8 pictures: 3 empty, 5 with a red box
    images: tuple[Path, ...]  # the 5 with the box
    boxes: tuple[str, ...]  # x0,y0,x1,y1 of each

    @property
    def store(self) -> BankStore:
        return BankStore(self.bank)

    @property
    def common(self) -> list[str]:
        return ["--bank", str(self.bank), "--model", str(self.model)]

    def register_words(self, name: str = "tug", count: int = 5) -> list[str]:
        boxes = [word for box in self.boxes[:count] for word in ("--box", box)]
        return ["register", name, *map(str, self.images[:count]), *boxes, *self.common]


def write_picture(path: Path, rgb: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), rgb[:, :, ::-1])
    return path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    path = tmp_path_factory.mktemp("workshop")
    engine = load_engine(tiny_bundle(path / "model"), 1)
    ready_engine(path / "model", note=lambda _: None)  # verified once, so that no command has to say so
    BankStore(path / "bank").create(taught_bank(engine), "test", "first")
    rng = np.random.default_rng(5)
    (path / "apron").mkdir()
    images, boxes = [], []
    for k in range(8):
        picture, box = apron_like_picture(rng, colour=None if k < 3 else RED)
        file = write_picture(path / "apron" / f"{k}.png", picture)
        if k >= 3:
            images.append(file)
            boxes.append(",".join(map(str, box)))
    return Workshop(path, path / "model", path / "bank", path / "apron", tuple(images), tuple(boxes))


@pytest.fixture
def shop(made: Workshop, tmp_path: Path) -> Workshop:
    """The workshop with a bank of the test's own."""
    shutil.copytree(made.bank, tmp_path / "bank")
    return Workshop(tmp_path, made.model, tmp_path / "bank", made.apron, made.images, made.boxes)


@pytest.fixture
def airside(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    def call(*words: object) -> Answer:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Answer(code, out, err)

    return call
