"""Which engines could run this model here, and which have been verified."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from airside.commands.check import FAIL, INFO, OK, WARN, Check
from airside.engine.bundle import open_bundle
from airside.engine.cache import cache_folder, write_cached
from airside.engine.engines import DEFAULT_ENGINE, ENGINES, load_named
from airside.engine.verification import kept
from airside.errors import AirsideError, StorageError


def engine_checks(model: Path) -> Iterator[Check]:
    """One check an engine, then the cache that keeps the answers. Only a failed verification is a failure."""
    bundle = open_bundle(model)
    for name, kind in ENGINES.items():
        what = f"engine {name}"
        if kind.missing is not None:
            yield Check(INFO, what, f"not installed ({kind.what}, {kind.precision}); {kind.missing}")
            continue
        command = f"run: airside verify {model} --engine {name}"
        try:
            answer = kept(load_named(name, bundle).identity)
        except AirsideError as error:
            yield Check(INFO, what, f"not for this machine: {error}")
            continue
        if answer is None:
            own = "verified when it first runs" if kind.at_start else f"must be verified before it runs; {command}"
            yield Check(INFO, what, f"{kind.precision}, {own}")
        elif answer.passed:
            yield Check(OK, what, f"{kind.precision}, verified here {answer.at}")
        else:
            state = FAIL if name == DEFAULT_ENGINE else WARN
            yield Check(state, what, f"{kind.precision}, did not pass: {'; '.join(answer.failed)}; {command}")
    yield _cache()


def _cache() -> Check:
    try:
        folder = cache_folder()
        write_cached(folder / "doctor", b"")
        (folder / "doctor").unlink()
    except (StorageError, OSError) as error:
        return Check(WARN, "cache", f"{error}: verified engines are not remembered")
    return Check(OK, "cache", f"{folder} can be written")
