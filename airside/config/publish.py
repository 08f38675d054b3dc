"""Where results go besides the JSON lines: the ROS 2 wire, the recording, the metrics."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from airside.config.strict import load_settings, require

ATTACHMENTS = ("current", "jazzy_early")
_ROS_NAME = re.compile(r"(/[A-Za-z][A-Za-z0-9_]*)+")
_NODE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ENDPOINT = re.compile(r"(tcp|udp|tls|quic|ws|unixsock-stream)/\S+")
MAX_DOMAIN_ID = 232


@dataclass(frozen=True, slots=True)
class ZenohConfig:
    """ROS 2 over Zenoh. Without ``listen`` the session is a client of one of ``connect`` (a router, as a ROS 2 graph
    has it); with it, a peer. Nothing but these endpoints is ever sought: multicast stays off."""

    enabled: bool = False
    domain_id: int = 0  # ROS_DOMAIN_ID
    connect: tuple[str, ...] = ("tcp/localhost:7447",)
    listen: tuple[str, ...] = ()
    topic_prefix: str = "/airside"
    node: str = "airside"
    rate_hz: float = 10.0  # predicted tracks fill the time between two ticks up to this rate
    attachment: str = "current"  # "jazzy_early" for Jazzy's rmw_zenoh 0.2.0 to 0.2.3

    def __post_init__(self) -> None:
        require(0 <= self.domain_id <= MAX_DOMAIN_ID, f"domain_id: 0 to {MAX_DOMAIN_ID}, got {self.domain_id}")
        require(bool(self.connect or self.listen), "connect, listen: at least one endpoint is needed")
        for endpoint in (*self.connect, *self.listen):
            require(
                _ENDPOINT.fullmatch(endpoint) is not None, f"{endpoint!r} is no endpoint such as tcp/localhost:7447"
            )
        require(
            _ROS_NAME.fullmatch(self.topic_prefix) is not None,
            f"topic_prefix: wanted a ROS 2 name such as /airside, got {self.topic_prefix!r}",
        )
        require(
            _NODE_NAME.fullmatch(self.node) is not None, f"node: letters, digits and underscores, got {self.node!r}"
        )
        require(0 < self.rate_hz <= 100, f"rate_hz: above 0, at most 100, got {self.rate_hz:g}")
        require(self.attachment in ATTACHMENTS, f"attachment: {' or '.join(ATTACHMENTS)}, got {self.attachment!r}")


@dataclass(frozen=True, slots=True)
class RecorderConfig:
    """The MCAP recording. A new file begins when ``part_mb`` or ``part_s`` is reached, and after a full disk."""

    enabled: bool = False
    pictures_every: int = 1  # ticks; 0: no pictures
    overlay: bool = True
    jpeg_quality: int = 85
    lossless: bool = False  # PNG, four times as large: only then does a replay repeat the drive bit for bit
    sync_s: float = 2.0  # what a power cut may cost while no alert is raised
    part_s: float = 600.0
    part_mb: float = 1000.0
    keep_free_mb: float = 500.0  # below this the recording stops, so that alerts can still be written

    def __post_init__(self) -> None:
        require(self.pictures_every >= 0, f"pictures_every: 0 or more, got {self.pictures_every}")
        require(1 <= self.jpeg_quality <= 100, f"jpeg_quality: 1 to 100, got {self.jpeg_quality}")
        for name in ("sync_s", "part_s", "part_mb"):
            require(getattr(self, name) > 0, f"{name}: must be positive, got {getattr(self, name):g}")
        require(self.keep_free_mb >= 0, f"keep_free_mb: 0 or more, got {self.keep_free_mb:g}")


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """Prometheus metrics on the loopback address."""

    enabled: bool = False
    port: int = 9464

    def __post_init__(self) -> None:
        require(0 < self.port < 65536, f"port: 1 to 65535, got {self.port}")


@dataclass(frozen=True, slots=True)
class PublishConfig:
    """Where results go besides the JSON lines. All is off unless the file says ``enabled: true``."""

    zenoh: ZenohConfig = field(default_factory=ZenohConfig)
    recorder: RecorderConfig = field(default_factory=RecorderConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)


def load_publish(path: str | Path) -> PublishConfig:
    """The settings in the YAML file ``path``; :class:`UsageError` says what is wrong and where."""
    return load_settings(PublishConfig, Path(path))
