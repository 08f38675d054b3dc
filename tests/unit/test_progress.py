"""Nothing for short work, a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import io

import pytest

from airside import progress
from airside.progress import Progress


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("stream", [Screen(), io.StringIO()])
def test_short_work_is_silent(clock: list[float], stream: io.StringIO) -> None:
    with Progress("ticks", 3, stream) as shown:
        clock[0] += 1.9
        shown.step()
    assert stream.getvalue() == ""


def test_a_bar_that_leaves_the_line_clean(clock: list[float]) -> None:
    screen = Screen()
    with Progress("ticks", 4, screen) as shown:
        clock[0] += 4
        shown.step()
        shown.step()  # too soon to draw again
    assert "1 of 4 ticks, 0.2 a second" in screen.getvalue()
    assert screen.getvalue().count("of 4") == 1
    assert "[#######" in screen.getvalue()
    assert screen.getvalue().endswith("\r\033[K")


def test_plain_lines_without_a_known_end(clock: list[float]) -> None:
    log = io.StringIO()
    with Progress("ticks", None, log) as shown:
        for _ in range(30):
            clock[0] += 1
            shown.step()
    assert log.getvalue().splitlines() == [f"airside: {n} ticks, 1.0 a second" for n in (10, 20, 30)]
