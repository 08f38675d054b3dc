"""What a bank was taught with, embedded again: the patches that peers of the default learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from airside.bank.bank import PrototypeBank
from airside.engine.engine import Engine
from airside.enrolment.enrol import object_tokens
from airside.enrolment.foreground import Background
from airside.enrolment.support import decode_crop
from airside.errors import InputError
from airside.progress import Progress


@dataclass(frozen=True, slots=True)
class SupportPatches:
    """``tokens`` [T, C] float32, unit length; ``class_index`` [T] int64 into ``names``, ascending."""

    tokens: np.ndarray
    class_index: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def from_classes(cls, tokens: Sequence[np.ndarray], names: tuple[str, ...]) -> SupportPatches:
        """One array [n, C] a class."""
        index = np.repeat(np.arange(len(tokens)), [len(t) for t in tokens])
        return cls(np.concatenate(tokens), index, names)

    def of_class(self, index: int) -> np.ndarray:
        """[n, C]."""
        return np.asarray(self.tokens[self.class_index == index])


def support_patches(engine: Engine, bank: PrototypeBank) -> SupportPatches:
    """Patches of every class of ``bank``, from the crops it keeps. Raises :class:`InputError` for a class that keeps
    none, or whose crops show no whole patch."""
    background = Background(bank)
    found = []
    with Progress("classes, support embedded again", len(bank.classes)) as progress:
        for known in bank.classes:
            pictures = [decode_crop(crop, f"{known.name} #{k}") for k, crop in enumerate(known.support)]
            tokens = object_tokens(engine, pictures, background, boxed=False)[0] if pictures else []
            if not any(len(t) for t in tokens):
                raise InputError(
                    f"class {known.name!r} keeps no support crop that shows a whole patch: methods that learn from "
                    "support patches cannot run; leave them out of --methods or register the class with pictures"
                )
            found.append(np.concatenate(tokens))
            progress.step()
    return SupportPatches.from_classes(found, bank.names)
