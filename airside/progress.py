"""How far a long piece of work is: a bar on a terminal, a plain line now and then anywhere else."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

QUIET_S = 2.0  # work that is done by then shows nothing
BAR_EVERY_S = 0.1
LINE_EVERY_S = 10.0
_BAR_CHARS = 30
_CLEAR = "\r\033[K"


class Progress:
    """``total`` ``None`` where the end is not known. Writes to standard error, so that output can be piped."""

    def __init__(self, what: str, total: int | None, stream: TextIO | None = None) -> None:
        self._what, self._total = what, total
        self._stream = stream if stream is not None else sys.stderr
        self._is_terminal = self._stream.isatty()
        self._start = time.monotonic()
        self._next = self._start + (QUIET_S if self._is_terminal else LINE_EVERY_S)
        self._done, self._drawn = 0, False

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (BAR_EVERY_S if self._is_terminal else LINE_EVERY_S)
        rate = self._done / (now - self._start)
        count = f"{self._done}" if self._total is None else f"{self._done} of {self._total}"
        if not self._is_terminal:
            print(f"airside: {count} {self._what}, {rate:.1f} a second", file=self._stream, flush=True)
            return
        filled = 0 if not self._total else min(_BAR_CHARS, self._done * _BAR_CHARS // self._total)
        bar = "" if self._total is None else f"[{'#' * filled}{'.' * (_BAR_CHARS - filled)}] "
        print(f"{_CLEAR}{bar}{count} {self._what}, {rate:.1f} a second", end="", file=self._stream, flush=True)
        self._drawn = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn:
            print(_CLEAR, end="", file=self._stream, flush=True)
