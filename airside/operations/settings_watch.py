"""A settings file that is read again whenever it changes, and never taken up broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from airside.errors import AirsideError

T = TypeVar("T")
_Signature = tuple[int, int, int]  # time of change in ns, inode, size


class Watched(Generic[T]):
    """The value of the file ``path``, by ``load``. Ask for it once a tick: one ``stat``, and a load where it differs.

    A new content that ``load`` refuses, or a file that is gone, leaves the old value in use; :attr:`reasons` then
    holds ``reason`` and :attr:`fault` what is wrong, until the file is mended.

    Raises what ``load`` raises when the first content is already refused.
    """

    def __init__(self, path: Path, load: Callable[[Path], T], reason: str = "site_unreadable") -> None:
        self._path, self._load, self._reason = path, load, reason
        self._seen = _signature(path)
        self._value = load(path)
        self._fault: str | None = None
        self.changes = 0  # how often a new value was taken up

    def current(self) -> T:
        """The value now in use."""
        signature = _signature(self._path)
        if signature != self._seen:
            self._seen = signature  # one try for each content
            try:
                self._value = self._load(self._path)
                self._fault, self.changes = None, self.changes + 1
            except AirsideError as error:
                self._fault = str(error)
        return self._value

    @property
    def fault(self) -> str | None:
        """Why the newest content is not in use; ``None``: it is."""
        return self._fault

    @property
    def reasons(self) -> tuple[str, ...]:
        """Reason codes for DEGRADED."""
        return () if self._fault is None else (self._reason,)


def _signature(path: Path) -> _Signature | None:
    """``None``: there is no such file, or it cannot be looked at."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_ino, state.st_size
