"""The wheel: ``airside`` alone, with its licence and its embedded default, and small enough to carry to a vehicle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
WHEEL_MB, MODEL_MB = 40, 25


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    assert path.name.endswith("-py3-none-any.whl")
    return ZipFile(path)


def _of_the_tree(folder: Path) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_its_top_level_is_airside_alone(wheel: ZipFile) -> None:
    top = {PurePosixPath(name).parts[0] for name in wheel.namelist()}
    info = {name for name in top if name.startswith("airside-") and name.endswith(".dist-info")}
    assert len(info) == 1
    assert top == {"airside", *info}


def test_it_holds_every_file_of_airside_and_nothing_else(wheel: ZipFile) -> None:
    """Code and, when they are there, the assets: a line in .gitignore must not drop them unseen."""
    assert {name for name in wheel.namelist() if name.startswith("airside/")} == _of_the_tree(ROOT / "airside")


def test_it_holds_no_tests_and_no_leftovers(wheel: ZipFile) -> None:
    for name in wheel.namelist():
        parts = PurePosixPath(name).parts
        assert not {"tests", "test", "__pycache__"} & set(parts)
        assert not parts[-1].startswith(("test_", "conftest"))
        assert not name.endswith((".pyc", ".part", ".pt"))


def test_it_carries_the_licence(wheel: ZipFile) -> None:
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/licenses/LICENSE"))
    assert wheel.read(name) == (ROOT / "LICENSE").read_bytes()
    assert b"Apache License" in wheel.read(name)


def test_it_installs_the_command(wheel: ZipFile) -> None:
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/entry_points.txt"))
    assert "airside = airside.cli:main" in wheel.read(name).decode()


def test_a_plain_install_asks_for_no_torch_and_no_simulator(wheel: ZipFile) -> None:
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    wanted = [
        line
        for line in wheel.read(name).decode().splitlines()
        if line.startswith("Requires-Dist:") and "extra ==" not in line
    ]
    assert any("onnxruntime" in line for line in wanted)
    assert not [line for line in wanted if any(word in line for word in ("torch", "timm", "mujoco", "scikit"))]


def test_it_is_small(wheel: ZipFile) -> None:
    sizes = {info.filename: info.file_size for info in wheel.infolist()}
    assert wheel.filename is not None
    assert Path(wheel.filename).stat().st_size <= WHEEL_MB * 1e6
    for name, size in sizes.items():
        if name.endswith("model.onnx"):
            assert size <= MODEL_MB * 1e6, name
