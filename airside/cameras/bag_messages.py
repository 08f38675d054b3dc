"""What every kind of recording file gives: its topics, and its messages in order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass
from typing import Protocol

OnDamage = Callable[[str, str], None]  # reason, message


@dataclass(frozen=True, slots=True)
class BagMessage:
    """One message as it was stored."""

    topic: str
    log_ns: int  # when the recorder got it, by the recorder's clock
    data: bytes  # CDR


class BagFile(Protocol):
    """One file of a recording, opened anew for every reading of its messages."""

    @property
    def topics(self) -> dict[str, str]:
        """Topic -> message type (``sensor_msgs/msg/Image``), of the messages in CDR."""
        ...

    @property
    def span_ns(self) -> tuple[int, int] | None:
        """Log times of the first and the last message; ``None`` where there is none."""
        ...

    def messages(self, topics: Collection[str], on_damage: OnDamage) -> Generator[BagMessage, None, None]:
        """Those of ``topics``, in the order of their log times as far as the file has them together.

        What cannot be read is left out and told to ``on_damage``: ``damaged`` and it goes on behind it,
        ``ended_early`` and nothing more comes.
        """
        ...
