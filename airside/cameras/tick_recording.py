"""airside's own recordings, tick by tick: what each tick looked at, and what it said then."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airside.cameras.bag import BAG_SUFFIXES
from airside.cameras.bag_messages import BagFile
from airside.cameras.ros_images import COMPRESSED, picture_from, text_from
from airside.cameras.stills import natural_key
from airside.config import SiteConfig, site_from_text
from airside.errors import InputError, UsageError
from airside.messages import Frame, FrameBundle

TICK_TOPIC, SITE_TOPIC = "/airside/tick", "/airside/site"
LATE_NS = 2_000_000_000  # a picture that has not come so long after its tick was never recorded
_TOLD = ("tick", "now_ns", "published_ns", "bank_snapshot", "method", "alerts", "health", "cameras")


@dataclass(frozen=True, slots=True)
class RecordedTick:
    """``told`` has ``tick``, ``now_ns``, ``bank_snapshot``, ``health``, ``cameras`` and ``alerts`` as the JSON line of
    the tick; ``site`` judged it, ``None`` where none was recorded; ``bundle`` has the frames it looked at, as far as
    they were recorded: ``missing`` cameras' were not."""

    told: dict[str, Any]
    site: SiteConfig | None
    bundle: FrameBundle
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Told:
    """A tick's ``record`` and what its clock is behind the recording's."""

    record: dict[str, Any]
    site: SiteConfig | None
    offset_ns: int


class TickRecording:
    """The recording at ``path``: one file, or a folder whose files follow one another by their names.

    Raises :class:`InputError` for a recording that airside has not made, or that holds no tick; :class:`UsageError` for
    files of several runs of the engine: each begins with a clock and with tracks of its own.
    """

    def __init__(self, path: Path) -> None:
        paths = sorted(path.glob("*.mcap"), key=lambda p: natural_key(p.name)) if path.is_dir() else [path]
        if not paths or paths[0].suffix != ".mcap":
            raise InputError(f"recording {path}: wanted an .mcap file that airside recorded, or a folder of them")
        if not paths[0].is_file():
            raise InputError(f"recording {path}: no such file; check the path")
        self._path, self._paths = path, paths
        self._files: list[BagFile] = [BAG_SUFFIXES[".mcap"](file) for file in paths]
        self.faults: Counter[str] = Counter()
        self.last_fault: str | None = None
        self._told = self._read_told()
        if not self._told:
            raise InputError(f"recording {path}: holds no {TICK_TOPIC}; run it with: airside run {path} --rig FILE")

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(camera["camera"] for camera in self.first_told["cameras"])

    @property
    def first_told(self) -> dict[str, Any]:
        """What the first tick said."""
        return self._told[0].record

    @property
    def first_site(self) -> SiteConfig | None:
        return self._told[0].site

    def __len__(self) -> int:
        return len(self._told)

    def ticks(self) -> Iterator[RecordedTick]:
        """In their order; of the pictures those between two ticks are held."""
        pictures = self._pictures()
        held: dict[tuple[str, int], Frame] = {}
        newest_ns = -(1 << 62)
        for read in self._told:
            told = read.record
            wanted = {(c["camera"], c["capture_ns"]) for c in told["cameras"] if c["observed"]}
            while not wanted <= held.keys() and newest_ns <= told["now_ns"] + LATE_NS:
                frame = next(pictures, None)
                if frame is None:
                    break
                held[frame.camera, frame.capture_ns] = frame
                newest_ns = max(newest_ns, frame.capture_ns)
            missing = tuple(sorted(camera for camera, _ in wanted - held.keys()))
            self.faults["not_recorded"] += len(missing)
            frames = tuple(held[key] for key in sorted(wanted & held.keys()))
            yield RecordedTick(told, read.site, FrameBundle(told["now_ns"], frames), missing)
            held = {key: frame for key, frame in held.items() if key[1] > told["now_ns"] - LATE_NS}

    def _read_told(self) -> list[_Told]:
        found: list[_Told] = []
        site: SiteConfig | None = None
        for path, file in zip(self._paths, self._files, strict=True):
            with closing(file.messages({TICK_TOPIC, SITE_TOPIC}, self._fault)) as messages:
                for message in messages:
                    if message.topic == SITE_TOPIC:
                        site = self._site(message.data, site)
                        continue
                    try:
                        record = json.loads(text_from(message.data, TICK_TOPIC))
                        told = {key: record[key] for key in _TOLD}
                        if found and told["tick"] <= found[-1].record["tick"]:
                            raise UsageError(
                                f"recording {self._path}: another run of the engine begins in {path.name}; replay the "
                                "files of one run at a time, from a folder of their own"
                            )
                        found.append(_Told(told, site, message.log_ns - told["published_ns"]))
                    except (ValueError, KeyError, TypeError, RecursionError, InputError) as error:
                        self._fault("damaged", f"a tick cannot be read ({error})")
        return found

    def _site(self, data: bytes, before: SiteConfig | None) -> SiteConfig | None:
        try:
            return site_from_text(text_from(data, SITE_TOPIC))
        except (InputError, UsageError) as error:
            self._fault("damaged", f"the site settings cannot be read ({error})")
            return before

    def _pictures(self) -> Iterator[Frame]:
        offset_ns = self._told[0].offset_ns
        topics = {f"/airside/{camera}/image/compressed": camera for camera in self.cameras}
        for file in self._files:
            with closing(file.messages(set(topics), self._fault)) as messages:
                for message in messages:
                    try:
                        picture = picture_from(COMPRESSED, message.data, message.topic)
                    except InputError as error:
                        self._fault("unreadable", str(error))
                        continue
                    capture_ns = (picture.stamp_ns or message.log_ns) - offset_ns
                    yield Frame(topics[message.topic], picture.image, capture_ns, capture_ns)

    def _fault(self, reason: str, message: str) -> None:
        self.faults[reason] += 1
        self.last_fault = f"recording {self._path}: {message}"


def steps_shed(health_reasons: Sequence[str]) -> int:
    """How many steps of shedding a tick's health tells of."""
    return sum(reason.startswith("overload_") for reason in health_reasons)
