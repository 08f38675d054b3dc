"""One line of the doctor's findings."""

from __future__ import annotations

from typing import NamedTuple

OK, WARN, FAIL, INFO = "ok", "warn", "FAIL", "info"


class Check(NamedTuple):
    state: str  # OK, WARN, FAIL or INFO; only FAIL counts against the installation
    what: str
    detail: str  # what was found and, for a failure, what to do
