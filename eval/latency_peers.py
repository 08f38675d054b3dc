"""Somebody else's program beside ours, in its own environment: one line in, one run, one line back."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

import numpy as np

from airside.errors import UnavailableError

PROGRAM = Path(__file__).with_name("peer_anomalydino.py")


class AnomalyDino:
    """anomalib's AnomalyDINO on one picture [H, W, 3] uint8 with ``bank`` [P, C], run by the interpreter ``python``.

    Call it to run it once. Raises :class:`UnavailableError` when it does not start, or ends.
    """

    def __init__(self, python: Path, backbone: str, picture: np.ndarray, bank: np.ndarray, threads: int) -> None:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        np.save(folder / "bank.npy", bank)
        np.save(folder / "picture.npy", picture)
        words = ["--backbone", backbone, "--threads", str(threads)]
        words += ["--bank", str(folder / "bank.npy"), "--picture", str(folder / "picture.npy")]
        self._said = (folder / "stderr").open("w+")
        try:
            self._process = subprocess.Popen(
                [str(python), str(PROGRAM), *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                text=True,
                env={},  # no path of ours: it has its own libraries
            )
        except OSError as error:
            raise UnavailableError(f"--peer-python {python} does not start: {error}") from error
        self.versions: dict[str, str] = json.loads(self._line())

    def __enter__(self) -> AnomalyDino:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()
        self._said.close()
        self._folder.cleanup()

    def __call__(self) -> float:
        """Milliseconds, as it measured them itself."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return float(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._said.seek(0)
            last = (self._said.read().strip().splitlines() or ["nothing"])[-1]
            self.__exit__(None, None, None)
            raise UnavailableError(f"AnomalyDINO in {self._process.args[0]!r} ended, saying: {last}")
        return line
