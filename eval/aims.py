"""What a benchmark's figures are meant to reach: data in its report, never a reason to stop."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Aim:
    """``got`` must not lie above ``wanted``, with ``at_least`` not below it; a missing figure reaches nothing."""

    name: str
    wanted: float
    got: float | None
    at_least: bool = False

    @property
    def reached(self) -> bool:
        if self.got is None:
            return False
        return self.got >= self.wanted if self.at_least else self.got <= self.wanted

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "reached": self.reached}


def aim_line(aim: dict[str, Any]) -> str:
    """One line for people, from :meth:`Aim.as_json`."""
    got = "-" if aim["got"] is None else f"{aim['got']:.3f}"
    verdict = "reached" if aim["reached"] else "NOT reached"
    return f"{aim['name']}: {got}, wanted at {'least' if aim['at_least'] else 'most'} {aim['wanted']:.3f}: {verdict}"
