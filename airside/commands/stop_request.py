"""Ctrl-C and a service manager's SIGTERM end a run after the tick in hand, so that its files are finished properly."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class StopRequest:
    """While entered, the first signal only sets :attr:`asked`; a second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self._signal: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    @property
    def asked(self) -> bool:
        return self._signal is not None

    @property
    def exit_code(self) -> int:
        """0, or what a shell says of a program ended by that signal."""
        return 0 if self._signal is None else 128 + self._signal

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            raise KeyboardInterrupt
        self._signal = number

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # elsewhere signals cannot be taken
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
