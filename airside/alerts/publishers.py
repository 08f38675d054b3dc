"""Where tick records go: one protocol, and the fan-out that keeps one failing publisher from stopping the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from airside.errors import AirsideError
from airside.messages import Occupancy, TickRecord


class Publisher(Protocol):
    """Takes every record. What it sends from a thread of its own it reports through ``fault`` and ``dropped``."""

    @property
    def name(self) -> str:
        """A short word: part of the reason code ``publisher_<name>``."""

    @property
    def fault(self) -> str | None:
        """What stands in its way now, in words; ``None``: nothing."""

    @property
    def dropped(self) -> int:
        """Things given to it that it never sent or wrote."""

    def publish(self, record: TickRecord, occupancy: Occupancy | None) -> None:
        """Send or write ``record``, and the grid where the tick has a new one. Raises :class:`AirsideError`; the next
        call tries again. Never waits for a peer or a disk that has a thread of its own."""

    def close(self) -> None:
        """Finish; safe to call twice."""


@dataclass(frozen=True, slots=True)
class PublisherState:
    """One publisher as the tick sees it."""

    name: str
    fault: str | None  # now
    faults: int  # how often it fell from working to not working
    dropped: int


class FanOut:
    """Gives every record to every publisher, whatever the others do.

    A fault is counted and given to ``say`` once when it begins and once when it is over. It never reaches the caller:
    the drive goes on, and :attr:`reasons` lets the next tick say DEGRADED.
    """

    def __init__(self, publishers: Sequence[Publisher], say: Callable[[str], None] = lambda text: None) -> None:
        self._members = [_Member(publisher) for publisher in publishers]
        self._say = say

    def publish(self, record: TickRecord, occupancy: Occupancy | None = None) -> None:
        """A tick's ``record`` to all. Predicted ones do not come here: :mod:`airside.alerts.between_ticks` sends them
        itself. Raises nothing."""
        for member in self._members:
            text = member.attempt(lambda publisher: publisher.publish(record, occupancy))
            if text is not None:
                self._say(text)

    @property
    def states(self) -> tuple[PublisherState, ...]:
        return tuple(member.state for member in self._members)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Reason codes for DEGRADED, of what fails now."""
        return tuple(f"publisher_{state.name}" for state in self.states if state.fault is not None)

    def close(self) -> None:
        """Close all, whatever the others do. Raises nothing."""
        for member in self._members:
            text = member.attempt(lambda publisher: publisher.close())
            if text is not None:
                self._say(text)


class _Member:
    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._own: str | None = None  # the fault of its latest call
        self._failing, self._faults, self._lost = False, 0, 0

    def attempt(self, call: Callable[[Publisher], None]) -> str | None:
        """Make the call; what there is to say about it, if anything."""
        name = self._publisher.name
        try:
            call(self._publisher)
            self._own = None
        except AirsideError as error:
            self._own = str(error)
        except Exception as error:  # a defect in one publisher is no reason to leave the planner without the others
            self._own = f"{type(error).__name__}: {error}"
        self._lost += self._own is not None
        fault = self.fault
        if (fault is not None) == self._failing:
            return None
        self._failing = fault is not None
        self._faults += self._failing
        return f"publisher {name}: {fault}" if self._failing else f"publisher {name}: works again"

    @property
    def fault(self) -> str | None:
        return self._own if self._own is not None else self._publisher.fault

    @property
    def state(self) -> PublisherState:
        dropped = self._lost + self._publisher.dropped
        return PublisherState(self._publisher.name, self.fault, self._faults, dropped)
