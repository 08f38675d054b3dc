"""What one version of a bank knows that another does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from airside.bank.bank import KnownClass, PrototypeBank


@dataclass(frozen=True, slots=True)
class ClassChange:
    """One class in both banks, with different contents; the counts may still be equal."""

    name: str
    prototypes_before: int
    prototypes_after: int
    support_before: int
    support_after: int


@dataclass(frozen=True, slots=True)
class BankDiff:
    """From ``a`` to ``b``; class names in the order of the bank that has them."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[ClassChange, ...]
    model_changed: bool
    calibrations_changed: bool
    guard_changed: bool

    @property
    def is_empty(self) -> bool:
        parts = (self.added, self.removed, self.changed)
        return not (any(parts) or self.model_changed or self.calibrations_changed or self.guard_changed)


def diff_banks(a: PrototypeBank, b: PrototypeBank) -> BankDiff:
    """What must be done to ``a`` to have ``b``. The order of the classes is not a difference."""
    before = {known.name: known for known in a.classes}
    after = {known.name: known for known in b.classes}
    return BankDiff(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(
            ClassChange(
                name,
                prototypes_before=len(before[name].prototypes),
                prototypes_after=len(known.prototypes),
                support_before=len(before[name].support),
                support_after=len(known.support),
            )
            for name, known in after.items()
            if name in before and not _same_class(before[name], known)
        ),
        model_changed=a.model_fingerprint != b.model_fingerprint,
        # repr, because an uncalibrated NaN is the same as another
        calibrations_changed=sorted(map(repr, a.calibrations)) != sorted(map(repr, b.calibrations)),
        guard_changed=a.guard_names != b.guard_names or not np.array_equal(a.guard_tokens, b.guard_tokens),
    )


def _same_class(a: KnownClass, b: KnownClass) -> bool:
    return (
        (a.kind, a.protected, a.support, a.pictures) == (b.kind, b.protected, b.support, b.pictures)
        and np.array_equal(a.prototypes, b.prototypes)
        and np.array_equal(a.mean, b.mean)
        and np.array_equal(a.held_out_similarity, b.held_out_similarity)
    )
