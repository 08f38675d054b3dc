"""The recording of a drive: pictures, overlay, grid, alerts and diagnostics in MCAP, for Foxglove or Lichtblick.

A thread of its own writes, from a queue that drops pictures before anything else and never an alert while there is
memory to speak of. A chunk is closed and synced at each record of CAUTION and above, and every few seconds.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from airside.alerts.mcap_file import McapFile
from airside.alerts.recording_messages import (
    RecordedCamera,
    camera_info,
    compressed_image,
    optical_frame,
    static_transforms,
)
from airside.alerts.ros2_messages import FRAME_ID, detections, diagnostics, holds_at_ns, occupancy_grid, text, tick_text
from airside.alerts.ros2_types import ros2_types
from airside.config import SiteConfig, site_text
from airside.config.publish import RecorderConfig
from airside.errors import AirsideError, MismatchError, StorageError, UnavailableError
from airside.messages import Frame, Level, Occupancy, TickRecord

SYNC_LEVEL = Level.CAUTION
WAITING_PICTURES = 24  # three ticks of eight cameras
WAITING_RECORDS = 4096  # a quarter of an hour on a disk that hangs
CAMERA_INFO_EVERY = 50  # pictures of a camera
RETRY_S = 1.0  # between two attempts to begin a new file
_CLOSE_S = 10.0
SITE_TOPIC = "/airside/site"  # what the ticks after it were judged by
OVERLAY_TOPIC = "/airside/overlay/compressed"  # not a camera's: replay must not take it for one


def picture_topic(camera: str) -> str:
    return f"/airside/{camera}/image/compressed"


def camera_info_topic(camera: str) -> str:
    return f"/airside/{camera}/camera_info"


@dataclass(frozen=True, slots=True)
class _Picture:
    topic: str
    frame_id: str
    camera: str | None  # ``None``: an overlay
    image: np.ndarray
    capture_ns: int


@dataclass(frozen=True, slots=True)
class _Record:
    record: TickRecord
    occupancy: Occupancy | None
    site: SiteConfig | None


_Item = _Picture | _Record


class McapRecorder:
    """Records into ``folder``: ``drive_0001.mcap`` and so on, one after the highest number at each beginning.

    A full disk ends a file with what it holds; a new one begins when there is space. Images given to it must not be
    written to afterwards. ``offset_ns`` leads from the records' clock to the ROS clock.

    Raises :class:`UnavailableError` where `mcap` or `rosbags` is not installed, :class:`StorageError` where ``folder``
    cannot be made.
    """

    name = "recorder"

    def __init__(
        self, folder: Path, config: RecorderConfig, offset_ns: int, cameras: Sequence[RecordedCamera] = ()
    ) -> None:
        _require_mcap()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"recording {folder}: {error.strerror}; choose another folder") from None
        self._tape = _Tape(folder, config, offset_ns, cameras)
        self._every = config.pictures_every
        self._ticks = 0
        self._seen: dict[str, int] = {}  # camera -> capture time of its newest picture given
        self._site: SiteConfig | None = None
        self._changed = threading.Condition()  # guards all below
        self._records: deque[_Record] = deque()
        self._pictures: deque[_Picture] = deque()
        self._dropped, self._lost, self._synced_tick = 0, 0, -1
        self._busy = self._closed = False
        self._fault: str | None = None
        self._thread = threading.Thread(target=self._run, name="airside-recorder", daemon=True)
        self._thread.start()

    @property
    def fault(self) -> str | None:
        with self._changed:
            return self._fault

    @property
    def dropped(self) -> int:
        """Pictures and records, those of an unfinished chunk that a full disk took included."""
        with self._changed:
            return self._dropped + self._lost

    @property
    def synced_tick(self) -> int:
        """The newest tick that is certainly on the disk; -1: none yet."""
        with self._changed:
            return self._synced_tick

    def publish(self, record: TickRecord, occupancy: Occupancy | None) -> None:
        """Leave a tick's record for the thread; never waits. Predicted records are not recorded."""
        if record.predicted:
            return
        with self._changed:
            if self._closed:
                raise UnavailableError("the recorder is closed")
            self._records.append(_Record(record, occupancy, self._site))
            if len(self._records) > WAITING_RECORDS:
                quiet = next((item for item in self._records if item.record.level < SYNC_LEVEL), self._records[0])
                self._records.remove(quiet)
                self._dropped += 1
            self._changed.notify_all()

    def follow_site(self, site: SiteConfig) -> None:
        """What the records given from now on were judged by."""
        self._site = site

    def add_frames(self, frames: Iterable[Frame]) -> None:
        """What a tick looked at; a picture that an earlier tick gave is not recorded again. Never waits."""
        self._ticks += 1
        if self._every == 0 or (self._ticks - 1) % self._every:
            return
        for frame in frames:
            if self._seen.get(frame.camera) != frame.capture_ns:
                self._seen[frame.camera] = frame.capture_ns
                topic, frame_id = picture_topic(frame.camera), optical_frame(frame.camera)
                self._add(_Picture(topic, frame_id, frame.camera, frame.image, frame.capture_ns))

    def add_overlay(self, image: np.ndarray, capture_ns: int) -> None:
        """The drawn picture [H, W, 3] uint8 RGB of a tick. Never waits."""
        self._add(_Picture(OVERLAY_TOPIC, FRAME_ID, None, image, capture_ns))

    def flush(self, timeout_s: float) -> bool:
        """Whether everything given to it was written, or dropped, within ``timeout_s``."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._records or self._pictures or self._busy), timeout_s)

    def close(self) -> None:
        """Write what waits and the index."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(_CLOSE_S)

    def _add(self, picture: _Picture) -> None:
        with self._changed:
            if self._closed:
                return
            self._pictures.append(picture)
            if len(self._pictures) > WAITING_PICTURES:
                self._pictures.popleft()
                self._dropped += 1
            self._changed.notify_all()

    def _run(self) -> None:
        while (item := self._next()) is not None:
            self._settle(lambda item=item: self._tape.write(item))  # type: ignore[misc]
        self._settle(self._tape.close)

    def _next(self) -> _Item | None:
        """Records first: what is lost when the time does not suffice are pictures."""
        with self._changed:
            while not (self._records or self._pictures):
                if self._closed:
                    return None
                if not self._changed.wait_for(lambda: self._records or self._pictures or self._closed, RETRY_S):
                    self._changed.release()
                    try:
                        self._settle(self._tape.sync_if_due, heals=False)
                    finally:
                        self._changed.acquire()
            self._busy = True
            return self._records.popleft() if self._records else self._pictures.popleft()

    def _settle(self, work: Callable[[], None], *, heals: bool = True) -> None:
        """Do ``work`` and keep what came of it for whoever asks for :attr:`fault`. Only what ``heals`` ends a fault."""
        fault = None
        try:
            work()
        except AirsideError as error:
            fault = str(error)
        except Exception as error:  # a defect must not end the thread: the next record may pass
            fault = f"{type(error).__name__}: {error}"
        with self._changed:
            self._busy = False
            self._fault = fault if heals or fault is not None else self._fault
            self._lost = self._tape.lost
            self._synced_tick = self._tape.synced_tick
            self._changed.notify_all()


class _Tape:
    """The file in use, if there is one. One thread writes."""

    def __init__(self, folder: Path, config: RecorderConfig, offset_ns: int, cameras: Sequence[RecordedCamera]) -> None:
        self._folder, self._config, self._offset_ns = folder, config, offset_ns
        self._cameras = {camera.name: camera for camera in cameras}
        self._types = ros2_types()
        self._file: McapFile | None = None
        self._begun_s = self._synced_s = 0.0
        self._refused_s: float | None = None  # when no file could be had
        self._pictures: dict[str, int] = {}  # camera -> pictures in this file
        self._site: SiteConfig | None = None  # the newest in this file
        self._unsynced = 0  # items since the latest sync
        self._written_tick = self.synced_tick = -1
        self.lost = 0

    def write(self, item: _Item) -> None:
        """Append ``item``, in a new file where one is due. Raises :class:`AirsideError`; the item is lost then."""
        self.lost += 1  # until it is in the file's chunk
        file = self._ready(item)
        try:
            if isinstance(item, _Record):
                self._write_record(file, item)
            else:
                self._write_picture(file, item)
        except StorageError:
            self._leave()
            raise
        self.lost -= 1
        self._unsynced += 1
        self.sync_if_due(at_once=isinstance(item, _Record) and item.record.level >= SYNC_LEVEL)

    def sync_if_due(self, *, at_once: bool = False) -> None:
        if self._file is None or not (at_once or time.monotonic() - self._synced_s >= self._config.sync_s):
            return
        try:
            self._file.sync()
        except StorageError:
            self._leave()
            raise
        self._synced_s = time.monotonic()
        self.synced_tick, self._unsynced = self._written_tick, 0
        if self._file.size_bytes >= self._config.part_mb * 1e6 or self._synced_s - self._begun_s >= self._config.part_s:
            self.close()
        elif self._free_mb() < self._config.keep_free_mb:
            self.close()
            raise self._too_full()

    def close(self) -> None:
        """Finish the file in use; the next write begins another one."""
        if self._file is not None:
            file, self._file = self._file, None
            self.lost += self._unsynced
            unsynced, self._unsynced = self._unsynced, 0
            file.finish()
            self.lost -= unsynced
            self.synced_tick = self._written_tick

    def _ready(self, item: _Item) -> McapFile:
        if self._file is not None:
            return self._file
        now_s = time.monotonic()
        if self._refused_s is not None and now_s - self._refused_s < RETRY_S:
            raise self._too_full()
        self._refused_s = now_s
        if self._free_mb() < self._config.keep_free_mb:
            raise self._too_full()
        self._file = McapFile(self._free_path(), self._types)
        self._refused_s, self._begun_s, self._synced_s = None, now_s, now_s
        self._pictures, self._site = {}, None
        if self._cameras:
            stamp_ns = _time_of(item) + self._offset_ns
            transforms = static_transforms(self._types, tuple(self._cameras.values()), stamp_ns)
            try:
                self._file.write("/tf_static", transforms, log_ns=stamp_ns)
            except StorageError:
                self._leave()
                raise
        return self._file

    def _write_record(self, file: McapFile, item: _Record) -> None:
        record, types, offset_ns = item.record, self._types, self._offset_ns
        messages = [] if item.site in (None, self._site) else [(SITE_TOPIC, text(types, site_text(item.site)))]
        messages += [
            ("/airside/tick", tick_text(types, record)),  # the first to refuse a number that is not finite
            ("/airside/unknown_objects", detections(types, record, offset_ns)),
            ("/airside/diagnostics", diagnostics(types, record, offset_ns, record.tick)),
        ]
        if item.occupancy is not None:
            grid = occupancy_grid(types, item.occupancy, holds_at_ns(record), offset_ns)
            messages.append(("/airside/occupancy", grid))
        for topic, message in messages:
            file.write(topic, message, log_ns=record.published_ns + offset_ns, sequence=record.tick)
        self._written_tick, self._site = record.tick, item.site

    def _write_picture(self, file: McapFile, item: _Picture) -> None:
        stamp_ns = item.capture_ns + self._offset_ns
        if item.camera is not None:
            number = self._pictures.get(item.camera, 0)
            self._pictures[item.camera] = number + 1
            camera = self._cameras.get(item.camera)
            if camera is not None and number % CAMERA_INFO_EVERY == 0:
                self._write_lens(file, camera, item.image, stamp_ns)
        lossless = self._config.lossless and item.camera is not None
        quality = None if lossless else self._config.jpeg_quality
        message = compressed_image(self._types, item.image, item.frame_id, stamp_ns, quality)
        file.write(item.topic, message, log_ns=stamp_ns)

    def _write_lens(self, file: McapFile, camera: RecordedCamera, image: np.ndarray, stamp_ns: int) -> None:
        try:
            pinhole = camera.pinhole.scaled_to(image.shape[1], image.shape[0])
        except MismatchError:
            return  # not this lens's picture: nothing is known of the one that made it
        info = camera_info(self._types, replace(camera, pinhole=pinhole), stamp_ns)
        file.write(camera_info_topic(camera.name), info, log_ns=stamp_ns)

    def _leave(self) -> None:
        """The disk refused: what the file holds stays, and a new one is tried a little later."""
        if self._file is not None:
            self._file.abandon()
            self.lost, self._unsynced = self.lost + self._unsynced, 0
            self._file, self._refused_s = None, time.monotonic()

    def _free_path(self) -> Path:
        """After the highest number, whatever was deleted: by their names the files follow one another."""
        names = [path.stem.removeprefix("drive_") for path in self._folder.glob("drive_*.mcap")]
        highest = max((int(name) for name in names if name.isdecimal()), default=0)
        return self._folder / f"drive_{highest + 1:04d}.mcap"

    def _free_mb(self) -> float:
        try:
            return shutil.disk_usage(self._folder).free / 1e6
        except OSError as error:
            raise StorageError(f"recording {self._folder}: {error.strerror}; check the disk") from None

    def _too_full(self) -> StorageError:
        return StorageError(
            f"recording {self._folder}: the disk is full, or has less than {self._config.keep_free_mb:g} MB left; "
            "free space, the recording goes on by itself"
        )


def _time_of(item: _Item) -> int:
    return item.record.capture_ns if isinstance(item, _Record) else item.capture_ns


def _require_mcap() -> None:
    try:
        import mcap.writer  # noqa: F401
    except ImportError:
        raise UnavailableError(
            "recordings need the package mcap, which is not installed: pip install 'airside[vehicle]'"
        ) from None
