"""Which topic of a recording is which camera of the rig."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from airside.cameras.ros_images import COMPRESSED, INFO, RAW
from airside.errors import InputError, UsageError

_KINDS = (COMPRESSED, RAW)
# Behind the camera's name, the pictures as taken, best first; others (rectified, overlays) only where there is one.
_TAILS = (
    "image/compressed", "image_raw/compressed", "image_color/compressed", "compressed",
    "image", "image_raw", "image_color", "",
)  # fmt: skip


def image_topics(topics: Mapping[str, str], cameras: Sequence[str], told: Mapping[str, str]) -> dict[str, str]:
    """Camera -> its image topic, for those that have one.

    ``topics``: topic -> type. ``told``: camera -> topic where names do not tell. Otherwise a camera's topic has its
    name as a part of its path, as in ``/front_wide/image_raw/compressed``; a rig of one camera takes the only one.

    Raises :class:`InputError` where no camera has a topic, :class:`UsageError` where several would do or a told one is
    not there.
    """
    images = sorted(topic for topic, kind in topics.items() if kind in _KINDS)
    for camera, topic in told.items():
        if camera in cameras and topic not in images:
            raise UsageError(f"camera {camera}: the recording has no image topic {topic}; it has: {_listed(images)}")
    if not images:
        raise InputError(f"the recording has no image topic; it has: {_listed(sorted(topics))}")
    found = {camera: told.get(camera) or _topic_of(camera, images) for camera in cameras}
    if len(cameras) == 1 and len(images) == 1:
        found = {cameras[0]: images[0]}
    if not any(found.values()):
        raise InputError(
            f"the recording has no image topic named after a camera of the rig ({', '.join(cameras)}); "
            f"say which is which, it has: {_listed(images)}"
        )
    return {camera: topic for camera, topic in found.items() if topic is not None}


def info_topics(topics: Mapping[str, str], images: Mapping[str, str]) -> dict[str, str]:
    """Camera -> the ``camera_info`` beside its image topic, or one step above, for those that have one."""
    found = {}
    for camera, image in images.items():
        above = list(PurePosixPath(image).parents)[:2]
        beside = (str(parent / "camera_info") for parent in above)
        topic = next((topic for topic in beside if topics.get(topic) == INFO), None)
        if topic is not None:
            found[camera] = topic
    return found


def _topic_of(camera: str, images: Sequence[str]) -> str | None:
    tails = {topic: tail for topic in images if (tail := _behind(camera, topic)) is not None}
    for known in _TAILS:
        matching = [topic for topic, tail in tails.items() if tail == known]
        if matching:
            return _only(camera, matching)
    return _only(camera, list(tails)) if tails else None


def _behind(camera: str, topic: str) -> str | None:
    """What follows the camera's name in the path; ``None`` where it is not there."""
    parts = topic.strip("/").split("/")
    return "/".join(parts[parts.index(camera) + 1 :]) if camera in parts else None


def _only(camera: str, topics: list[str]) -> str:
    if len(topics) > 1:
        raise UsageError(f"camera {camera}: several topics of the recording would do: {_listed(topics)}; say which")
    return topics[0]


def _listed(topics: Sequence[str]) -> str:
    return ", ".join(topics) or "none"
