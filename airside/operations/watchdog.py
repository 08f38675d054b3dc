"""systemd's notification protocol, written out: one datagram a message to the socket in ``NOTIFY_SOCKET``."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Self


class Watchdog:
    """Tells systemd that the engine is ready, alive, stopping. Without a socket (no systemd) it says nothing.

    Feed it with :meth:`tick` after each finished tick and from nowhere else: a loop that hangs is then restarted. A
    message that cannot be sent is let go: the next tick sends the next one.
    """

    def __init__(self, address: str | None) -> None:
        # A leading @ stands for the zero byte of Linux' abstract names.
        self._address = "\0" + address[1:] if address and address.startswith("@") else address
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """The one that systemd asked for, if it did."""
        return cls((os.environ if environment is None else environment).get("NOTIFY_SOCKET") or None)

    @property
    def present(self) -> bool:
        """Whether anybody listens."""
        return self._socket is not None

    def ready(self, status: str = "") -> None:
        """The first tick is finished."""
        self._send("READY=1", status)

    def tick(self, status: str = "") -> None:
        """A tick is finished; ``status`` is what ``systemctl status`` shows."""
        self._send("WATCHDOG=1", status)

    def stopping(self) -> None:
        self._send("STOPPING=1", "")

    def close(self) -> None:
        """Safe to call twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, word: str, status: str) -> None:
        if self._socket is None or self._address is None:
            return
        lines = (word, f"STATUS={' '.join(status.split())}") if status else (word,)
        with contextlib.suppress(OSError):
            self._socket.sendto("\n".join(lines).encode(), self._address)
