"""Which tokens of the backbone describe a patch."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from airside.errors import UsageError


class FeatureKind(enum.StrEnum):
    LAST = "last"
    BLOCKS = "blocks"
    KEYS = "keys"


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """Feature choice, written ``last``, ``blocks:2,5,8,11`` (0-based) or ``keys``.

    ``last``: tokens of the last block after the final norm. ``blocks``: tokens after each named block, final norm
    applied, concatenated along C in the order given. ``keys``: attention keys of the last block, all heads side by
    side, before any rotary embedding (Amir et al., arXiv 2112.05814, section 3).
    """

    kind: FeatureKind = FeatureKind.LAST
    blocks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if (self.kind is FeatureKind.BLOCKS) != bool(self.blocks):
            raise UsageError(f"feature {self.kind.value!r} with blocks {list(self.blocks)}: only 'blocks' names blocks")

    @classmethod
    def parse(cls, text: str) -> FeatureSpec:
        """The inverse of ``str``. Raises :class:`UsageError`."""
        name, _, numbers = text.partition(":")
        try:
            return cls(FeatureKind(name), tuple(int(n) for n in numbers.split(",")) if numbers else ())
        except ValueError as error:
            raise UsageError(f"feature {text!r}: wanted last, keys, or blocks:2,5,8,11") from error

    def __str__(self) -> str:
        numbers = ",".join(str(b) for b in self.blocks)
        return f"{self.kind.value}:{numbers}" if numbers else self.kind.value
