"""One Zenoh session as a node of the ROS 2 graph: its endpoints, its liveliness tokens, its publishers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Any

from airside.alerts.rmw_zenoh import (
    AttachmentForm,
    WireTopic,
    attachment,
    data_key,
    node_token,
    publisher_gid,
    publisher_token,
)
from airside.config.publish import ZenohConfig
from airside.errors import UnavailableError


def require_zenoh() -> Any:
    """The module `zenoh`; :class:`UnavailableError` where it is not installed."""
    try:
        import zenoh
    except ImportError:
        raise UnavailableError(
            "ROS 2 over Zenoh needs the package eclipse-zenoh, which is not installed: pip install 'airside[vehicle]'"
        ) from None
    return zenoh


def session_settings(config: ZenohConfig) -> dict[str, Any]:
    """Zenoh's own settings for ``config``: no multicast, no shared memory, no endpoint that is not named there."""
    return {
        "mode": "peer" if config.listen else "client",
        "connect/endpoints": list(config.connect),
        "listen/endpoints": list(config.listen),
        "scouting/multicast/enabled": False,
        "transport/shared_memory/enabled": False,
    }


class ZenohSession:
    """Opened, declared, ready to :meth:`put`. One thread uses it.

    Raises :class:`UnavailableError` when there is nobody to connect to or an endpoint cannot be used. A connection
    that breaks later mends itself, tokens included; meanwhile :attr:`connected` is false and samples go nowhere.
    """

    def __init__(self, config: ZenohConfig, topics: Sequence[WireTopic], *, blocking: bool = False) -> None:
        zenoh = require_zenoh()
        self._error = zenoh.ZError
        self._form = AttachmentForm(config.attachment)
        where = ", ".join((*config.connect, *config.listen))
        try:
            self._session = zenoh.open(_zenoh_config(zenoh, config))
        except self._error as error:
            raise UnavailableError(
                f"no Zenoh session with {where} ({_first_line(error)}); start the router, or mend the endpoints"
            ) from None
        congestion = zenoh.CongestionControl.BLOCK if blocking else zenoh.CongestionControl.DROP
        try:
            self._declare(config, topics, congestion)
        except self._error as error:
            self.close()
            raise UnavailableError(f"the Zenoh session with {where} broke off ({_first_line(error)})") from None

    @property
    def connected(self) -> bool:
        """Whether a router or a peer is there now."""
        try:
            info = self._session.info
            return bool(info.routers_zid() or info.peers_zid())
        except self._error:
            return False

    def put(self, messages: Sequence[bytes], sequence: int, stamp_ns: int) -> None:
        """Hand ``messages`` to Zenoh, the first to the first topic and so on; fewer than topics is well.

        Raises :class:`UnavailableError`.
        """
        try:
            for message, (publisher, gid) in zip(messages, self._publishers, strict=False):
                publisher.put(message, attachment=attachment(sequence, stamp_ns, gid, self._form))
        except self._error as error:
            raise UnavailableError(f"Zenoh refused a sample ({_first_line(error)})") from None

    def close(self) -> None:
        with contextlib.suppress(self._error):  # of a peer that no longer reads: there is nobody to tell
            self._session.close()

    def _declare(self, config: ZenohConfig, topics: Sequence[WireTopic], congestion: Any) -> None:
        domain, node, zenoh_id = config.domain_id, config.node, str(self._session.zid())
        tokens = [node_token(domain, zenoh_id, node)]
        self._publishers: list[tuple[Any, bytes]] = []
        for entity_id, topic in enumerate(topics, start=1):
            tokens.append(publisher_token(domain, zenoh_id, entity_id, node, topic))
            publisher = self._session.declare_publisher(data_key(domain, topic), congestion_control=congestion)
            self._publishers.append((publisher, publisher_gid(tokens[-1])))
        live = self._session.liveliness()
        self._tokens = [live.declare_token(token) for token in tokens]  # gone when dropped


def _zenoh_config(zenoh: Any, config: ZenohConfig) -> Any:
    settings = zenoh.Config()
    for key, value in session_settings(config).items():
        settings.insert_json5(key, json.dumps(value))
    return settings


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].partition(" at /")[0].strip()
