"""systemd's protocol: what arrives at the socket, and that nothing is raised where nobody listens."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from airside.operations.watchdog import Watchdog


@pytest.mark.parametrize("abstract", [False, True])
def test_what_systemd_hears(tmp_path: Path, abstract: bool) -> None:
    name = f"@airside-test-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("\0" + name[1:] if abstract else name)
        ear.settimeout(5)
        watchdog = Watchdog.from_environment({"NOTIFY_SOCKET": name})
        assert watchdog.present
        watchdog.ready("6 cameras")
        watchdog.tick("tick 7,\nlevel NONE")
        watchdog.tick()
        watchdog.stopping()
        heard = [ear.recv(4096).decode() for _ in range(4)]
    assert heard == ["READY=1\nSTATUS=6 cameras", "WATCHDOG=1\nSTATUS=tick 7, level NONE", "WATCHDOG=1", "STOPPING=1"]
    watchdog.tick()  # systemd is gone: nothing is raised
    watchdog.close()
    watchdog.close()
    watchdog.tick()


def test_a_full_socket_holds_nobody_up(tmp_path: Path) -> None:
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(name)
        watchdog = Watchdog(name)
        for _ in range(5000):
            watchdog.tick("nobody reads")
        watchdog.close()


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}])
def test_without_systemd_it_is_silent(environment: dict[str, str]) -> None:
    watchdog = Watchdog.from_environment(environment)
    assert not watchdog.present
    watchdog.ready()
    watchdog.tick()
    watchdog.stopping()


def test_a_wrong_address_raises_nothing() -> None:
    watchdog = Watchdog("/nowhere/at/all")
    watchdog.tick()
    watchdog.close()
