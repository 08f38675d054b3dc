"""Register a class: support pictures in, a new bank and a report out. Pure: storing it is the caller's business."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from airside.bank.bank import ClassKind, KnownClass, PrototypeBank, SupportCrop
from airside.bank.prototypes import unit
from airside.engine.engine import Engine
from airside.enrolment.foreground import MIN_COVER, Background, patches_in_box, patches_without_hint
from airside.enrolment.guard import Hidden, Overlap, hidden_by, overlaps
from airside.enrolment.learn import learn_class
from airside.enrolment.support import (
    SupportImage,
    SupportView,
    decode_crop,
    kept_crop,
    pixels_sha256,
    views_of,
)
from airside.errors import InputError, RefusedError, UsageError

MIN_PATCHES = 4  # of a picture, over its views: less shows no object
NEAR_DUPLICATE = 0.995  # cosine of two pictures' mean object tokens
OUTLIER_GAP = 0.25  # a picture this much farther from the others than the median picture is
BATCH = 6


@dataclass(frozen=True, slots=True)
class SupportFinding:
    """What was noticed about one support picture: ``too_small``, ``near_duplicate`` or ``outlier``."""

    label: str
    problem: str
    detail: str


@dataclass(frozen=True, slots=True)
class EnrolmentReport:
    """What a registration learnt, and what it would change."""

    name: str
    pictures_used: int
    patches: int
    prototypes: int
    findings: tuple[SupportFinding, ...]
    overlaps: tuple[Overlap, ...]
    hidden: tuple[Hidden, ...]


def enrol(
    bank: PrototypeBank,
    engine: Engine,
    name: str,
    support: Sequence[SupportImage],
    *,
    boxed: bool = False,
    kind: ClassKind | None = None,
    allow_hiding: bool = False,
) -> tuple[PrototypeBank, EnrolmentReport]:
    """Add class ``name`` to ``bank`` from ``support`` pictures.

    ``boxed``: the masks are filled boxes, so what the bank knows as background inside them is left out. A name that
    exists is taught further: its kept crops are learnt again together with the new ones. ``kind``: by default what the
    class was, a thing where it is new.

    Raises:
        UsageError: no picture, or a name that cannot be a class.
        InputError: no picture shows an object large enough.
        RefusedError: guarded patches would take the new name; ``allow_hiding`` overrides.
    """
    if not name.strip() or name != name.strip():
        raise UsageError(f"{name!r} is no class name; wanted text without blanks at its ends")
    if not support:
        raise UsageError("no picture was given; registering takes 1 to 20, 5 or more work well")
    old = next((c for c in bank.classes if c.name == name), None)
    before = replace(bank, classes=tuple(c for c in bank.classes if c is not old))
    known_crops = old.support if old is not None else ()
    earlier = [decode_crop(c, f"{name} #{k}") for k, c in enumerate(known_crops)]
    seen = {c.sha256 for c in known_crops}
    findings: list[SupportFinding] = []
    fresh = []
    for item in support:
        sha = pixels_sha256(item.image)
        if sha in seen:
            findings.append(SupportFinding(item.label, "near_duplicate", "the same picture was already given; ignored"))
        else:
            seen.add(sha)
            fresh.append(item)
    if not fresh:
        raise InputError(f"every picture of {name!r} is already in the bank; nothing was changed")
    background = Background(before)
    tokens_old, _ = object_tokens(engine, earlier, background, boxed=False)
    tokens_new, masks = object_tokens(engine, fresh, background, boxed=boxed)
    keep = [k for k, t in enumerate(tokens_new) if len(t) >= MIN_PATCHES]
    findings += [
        SupportFinding(fresh[k].label, "too_small", f"{len(t)} patches show the object, wanted {MIN_PATCHES}; ignored")
        for k, t in enumerate(tokens_new)
        if k not in keep
    ]
    if not keep:
        raise InputError(
            f"no picture of {name!r} shows it large enough: {'; '.join(f.detail for f in findings)}. "
            "Give pictures in which it fills at least a tenth of the width, or a --box around it"
        )
    findings += _odd_pictures([fresh[k].label for k in keep], [tokens_new[k] for k in keep])
    crops: list[SupportCrop] = [*known_crops, *(kept_crop(fresh[k], masks[k]) for k in keep)]
    tokens = [*tokens_old, *(tokens_new[k] for k in keep)]
    was_kind, protected = (old.kind, old.protected) if old is not None else (ClassKind.THING, False)
    new = learn_class(name, kind if kind is not None else was_kind, tokens, crops, protected=protected)
    after = replace(before, classes=(*before.classes, new))
    hidden = hidden_by(after, new)
    if hidden and not allow_hiding:
        listed = ", ".join(f"{h.share:.0%} of the {h.patches} guarded patches of {h.name!r}" for h in hidden)
        raise RefusedError(
            f"registering {name!r} would hide {listed}. Give tighter boxes or masks, or other pictures; "
            "if it must be so, repeat with --allow-hiding"
        )
    joined = np.concatenate([tokens_new[k] for k in keep])
    report = EnrolmentReport(
        name, len(keep), len(joined), len(new.prototypes), tuple(findings), overlaps(before, joined), hidden
    )
    return after, report


def object_tokens(
    engine: Engine, support: Sequence[SupportImage], background: Background, *, boxed: bool
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Object tokens [n, C] and object masks [H, W] bool of each support picture, over all its views."""
    views = [view for k, item in enumerate(support) for view in views_of(item, k, engine.manifest)]
    tokens = _run(engine, views)
    chosen: list[list[np.ndarray]] = [[] for _ in support]
    masks = [item.mask if item.mask is not None else np.ones(item.image.shape[:2], bool) for item in support]
    for view, grid in zip(views, tokens, strict=True):
        item = support[view.source]
        if item.mask is None:
            patches = patches_without_hint(grid, view.net.observed, background)
            masks[view.source] = _mask_from_patches(patches, view, item)
        elif boxed:
            patches = patches_in_box(grid, view.cover, background)
        else:
            patches = view.cover >= MIN_COVER
        chosen[view.source].append(grid[patches])
    width = engine.manifest.token_width
    return [np.concatenate(c) if c else np.zeros((0, width), np.float32) for c in chosen], masks


def migrate(bank: PrototypeBank, engine: Engine) -> PrototypeBank:
    """Every class and guard of ``bank`` re-embedded with another model, from its kept crops; calibrations are dropped.

    Raises :class:`InputError` for a class that keeps no crops.
    """
    bare = PrototypeBank(
        engine.manifest.fingerprint, (), (), np.zeros((0, engine.manifest.token_width), np.float32), ()
    )
    background = Background(bare)

    def embedded(name: str, crops: Sequence[SupportCrop]) -> list[np.ndarray]:
        pictures = [decode_crop(crop, f"{name} #{k}") for k, crop in enumerate(crops)]
        return object_tokens(engine, pictures, background, boxed=False)[0]

    classes: list[KnownClass] = []
    for old in bank.classes:
        if not old.support:
            raise InputError(f"class {old.name!r} keeps no support crops; register it again with the new model")
        tokens = embedded(old.name, old.support)
        classes.append(learn_class(old.name, old.kind, tokens, old.support, protected=old.protected))
    guards = [(name, token) for name, crop in bank.guard_support for token in np.concatenate(embedded(name, [crop]))]
    return replace(
        bare,
        classes=tuple(classes),
        guard_tokens=np.stack([token for _, token in guards]) if guards else bare.guard_tokens,
        guard_names=tuple(name for name, _ in guards),
        guard_support=bank.guard_support,
    )


def _run(engine: Engine, views: Sequence[SupportView]) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    for start in range(0, len(views), BATCH):
        found.extend(engine.tokens(np.stack([v.net.image for v in views[start : start + BATCH]])))
    return found


def _mask_from_patches(patches: np.ndarray, view: SupportView, item: SupportImage) -> np.ndarray:
    """Network patches [Hp, Wp] -> mask of the whole picture [H, W] bool."""
    h, w = item.image.shape[:2]
    patch = view.net.image.shape[0] / patches.shape[0]
    u = ((np.arange(w) - view.net.offset_px[0]) / view.net.scale[0] / patch).astype(int)
    v = ((np.arange(h) - view.net.offset_px[1]) / view.net.scale[1] / patch).astype(int)
    inside = patches[np.clip(v, 0, patches.shape[0] - 1)[:, None], np.clip(u, 0, patches.shape[1] - 1)[None]]
    return np.asarray(inside)


def _odd_pictures(labels: Sequence[str], tokens: Sequence[np.ndarray]) -> list[SupportFinding]:
    """Pictures that say nothing new, and pictures that do not look like the others."""
    if len(tokens) < 2:
        return []
    means = unit(np.stack([t.mean(axis=0) for t in tokens]))
    cosine = means @ means.T
    findings = []
    for k in range(1, len(labels)):
        twin = int(np.argmax(cosine[k, :k]))
        if cosine[k, twin] > NEAR_DUPLICATE:
            findings.append(SupportFinding(labels[k], "near_duplicate", f"looks the same as {labels[twin]}"))
    if len(tokens) >= 3:
        np.fill_diagonal(cosine, np.nan)
        closeness = np.nanmean(cosine, axis=1)
        limit = float(np.median(closeness)) - OUTLIER_GAP
        findings += [
            SupportFinding(
                label,
                "outlier",
                f"cosine {c:.2f} with the other pictures, the median picture has {np.median(closeness):.2f}",
            )
            for label, c in zip(labels, closeness, strict=True)
            if c < limit
        ]
    return findings
