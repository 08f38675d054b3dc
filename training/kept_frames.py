"""Rendered frames, kept in a folder that may refuse: :func:`training.apron.bulk.render_plans` in this project's words.

Not part of the simulator, whose sources name the kept files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import BadZipFile

from airside.errors import InputError, StorageError
from training.apron import bulk
from training.apron.frames import LabelledFrame, WorldPlan


def render_plans(
    plans: Sequence[WorldPlan], workers: int = 0, cache: Path | None = None
) -> Iterator[tuple[WorldPlan, list[LabelledFrame]]]:
    """As there. Raises :class:`StorageError` where ``cache`` cannot be used, :class:`InputError` where a file
    in it is damaged."""
    try:
        yield from bulk.render_plans(plans, workers, cache)
    except OSError as error:
        if cache is None:
            raise
        raise StorageError(f"cannot keep frames in {cache}: {error}; give another folder") from None
    except (ValueError, EOFError, BadZipFile) as error:
        if cache is None:
            raise
        raise InputError(f"a file of kept frames in {cache} is damaged ({error}); empty the folder") from None
