"""What the operating system refuses, in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airside.errors import InputError


@contextmanager
def listing() -> Iterator[None]:
    """While folders are looked through: :class:`InputError` naming the path that may not be read."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}); check who may read it") from None
