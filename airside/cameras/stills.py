"""Pictures on disk as a camera: a folder in natural order, or one image."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from airside.cameras.decode import IMAGE_SUFFIXES, read_image
from airside.errors import InputError
from airside.messages import Frame


class StillsCamera:
    """Pictures played in order at ``fps``. One that cannot be read is counted and skipped, and its time passes.

    :meth:`frames` raises :class:`InputError` when not a single picture could be read.
    """

    def __init__(self, paths: Sequence[Path], *, name: str, fps: float) -> None:
        self.name = name
        self.faults: Counter[str] = Counter()
        self.last_fault: str | None = None
        self._paths = tuple(paths)
        self.fps = fps

    @property
    def expected_frames(self) -> int | None:
        return len(self._paths)

    def frames(self) -> Iterator[Frame]:
        """Every readable picture once; ``index`` is its place among all of them."""
        readable = 0
        first_fault: InputError | None = None
        for index, path in enumerate(self._paths):
            try:
                image = read_image(path)
            except InputError as fault:
                self.faults["unreadable"] += 1
                self.last_fault = str(fault)
                first_fault = first_fault or fault
                continue
            readable += 1
            yield Frame(camera=self.name, image=image, capture_ns=capture_ns_at(index, self.fps), index=index)
        if first_fault is not None and readable == 0:
            if len(self._paths) == 1:
                raise first_fault
            raise InputError(f"none of {len(self._paths)} pictures could be read; the first: {first_fault}")

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def capture_ns_at(index: int, fps: float) -> int:
    """Time of frame ``index`` in ns, counted from the source's beginning."""
    return round(index * 1e9 / fps)


def pictures_in(folder: Path) -> list[Path]:
    """Picture files directly inside ``folder``, in natural order (``2.png`` before ``10.png``), hidden ones left out.

    Raises :class:`InputError` when the folder cannot be listed or holds no picture.
    """
    try:
        found = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and not path.is_dir()
        ]
    except OSError as error:
        raise InputError(f"folder {folder}: cannot be listed ({error.strerror}); run: chmod +rx '{folder}'") from None
    if not found:
        raise InputError(f"folder {folder}: holds no picture ({', '.join(sorted(IMAGE_SUFFIXES))}); check the path")
    return sorted(found, key=lambda path: natural_key(path.name))


def natural_key(text: str) -> tuple[list[tuple[int, str]], str]:
    """A sort key under which runs of digits compare as numbers; the text itself breaks ties (``1`` and ``01``)."""
    parts = re.split(r"([0-9]+)", text.casefold())
    # The split puts digits at odd places, so numbers only ever meet numbers.
    return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)], text
