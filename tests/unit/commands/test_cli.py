"""One door for every error: one line, the right exit code, never a traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from airside import __version__
from airside.cli import main
from airside.errors import CorruptError

Call = Callable[..., SimpleNamespace]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "COMMAND"),
        (("rnu",), 2, "invalid choice: 'rnu'"),
        (("run",), 2, "--out"),
        (("run", "--out", "b"), 2, "SOURCE, or --rig"),
        (("run", "a", "--out", "b", "--max-ticks", "0"), 2, "above 0"),
        (("run", "a", "--out", "b", "--max-ticks", "many"), 2, "above 0"),
        (("run", "a", "--out", "b", "--bnk", "c"), 2, "--bnk"),
        (("register", "tug", "--bank", "b"), 2, "IMAGE"),
        (("register", "tug", "a.png"), 2, "--bank"),
        (("register", "tug", "a.png", "--bank", "b", "--box", "1,2,3"), 2, "x0,y0,x1,y1"),
        (("register", "tug", "a.png", "--bank", "b", "--box", "a,b,c,d"), 2, "x0,y0,x1,y1"),
        (("bank",), 2, "ACTION"),
        (("bank", "burn", "--bank", "b"), 2, "burn"),
        (("bank", "diff", "--bank", "b"), 2, "required: A"),
    ],
)
def test_wrong_words(airside: Call, words: tuple[str, ...], code: int, said: str) -> None:
    answer = airside(*words)
    assert answer.code == code
    assert said in answer.err
    assert answer.out == ""


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("register", "--help"), ("bank", "--help"),
                                   ("bank", "show", "--help"), ("doctor", "--help")])  # fmt: skip
def test_help(airside: Call, words: tuple[str, ...]) -> None:
    answer = airside(*words)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("usage: airside")


def test_version(airside: Call) -> None:
    assert airside("--version").out == f"airside {__version__}\n"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (CorruptError("the file is torn"), 5, "airside: the file is torn\n"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 6, "not enough memory"),
        (OSError(errno.ENOSPC, "No space left", "x.bin"), 6, "No space left (x.bin): the disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), 6, "mount it writable"),
        (PermissionError(errno.EACCES, "Permission denied"), 6, "no permission"),
        (BrokenPipeError(), 141, ""),
        (ModuleNotFoundError("No module named 'zarr'"), 8, "airside doctor"),
        (ZeroDivisionError("division\nby zero"), 70, "unexpected ZeroDivisionError: division by zero"),
    ],
)
def test_every_error_is_one_line(
    airside: Call, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    def fail(argv: list[str]) -> int:
        raise error

    monkeypatch.setattr("airside.cli._dispatch", fail)
    answer = airside("run")
    assert answer.code == code
    assert said in answer.err
    assert answer.err.count("\n") == (1 if said else 0)


def test_a_traceback_where_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(argv: list[str]) -> int:
        raise ZeroDivisionError("x")

    monkeypatch.setenv("AIRSIDE_TRACEBACK", "1")
    monkeypatch.setattr("airside.cli._dispatch", fail)
    assert main(["run"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from airside.cli import main; main(['--help']); "
        "print([m for m in ('numpy', 'onnxruntime', 'faiss', 'cv2', 'zarr') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | _PATH)
    assert done.stderr == "[]\n"


def test_a_reader_who_leaves_is_no_error() -> None:
    process = subprocess.Popen([sys.executable, "-m", "airside", "--help"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=os.environ | _PATH)  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() in (0, 141)


_PATH = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
