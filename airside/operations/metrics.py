"""Prometheus metrics on the loopback address: what a control room watches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airside.errors import UnavailableError
from airside.messages import HealthState, TickRecord

_ADDRESS = "127.0.0.1"
_SECONDS = (0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.175, 0.2, 0.25, 0.3, 0.4, 0.6, 1.0)  # the tick is 0.2
_HEALTH_VALUE = {HealthState.OK: 0, HealthState.DEGRADED: 1, HealthState.BLIND: 2}


class Metrics:
    """Serves ``http://127.0.0.1:<port>/metrics`` from a thread; port 0 takes a free one.

    Raises :class:`UnavailableError` when the port is taken or `prometheus-client` is not installed.
    """

    def __init__(self, port: int) -> None:
        try:
            import prometheus_client as prometheus
        except ImportError:
            raise UnavailableError(
                "metrics need the package prometheus-client, which is not installed: pip install 'airside[vehicle]'"
            ) from None
        # Its own registry: two engines in one process (tests) do not mix.
        self._registry = registry = prometheus.CollectorRegistry()
        own: Any = {"registry": registry}
        self._ticks = prometheus.Counter("airside_ticks", "Ticks published.", **own)
        self._seconds = prometheus.Histogram("airside_tick_seconds", "Time a tick took.", buckets=_SECONDS, **own)
        self._age = prometheus.Histogram(
            "airside_age_seconds", "Age of the newest picture at publication.", buckets=_SECONDS, **own
        )
        self._last = prometheus.Gauge("airside_last_tick", "Number of the latest tick.", **own)
        self._level = prometheus.Gauge("airside_level", "Highest level now: 0 NONE to 4 STOP.", **own)
        self._alerts = prometheus.Gauge("airside_alerts", "Tracked objects now, by level.", ["level"], **own)
        self._health = prometheus.Gauge("airside_health", "0 OK, 1 DEGRADED, 2 BLIND.", **own)
        self._valid = prometheus.Gauge("airside_valid", "1: the latest result may be used.", **own)
        self._reasons = prometheus.Counter("airside_health_reasons", "Ticks with this reason.", ["reason"], **own)
        self._camera_health = prometheus.Gauge("airside_camera_health", "0 OK, 1 DEGRADED, 2 BLIND.", ["camera"], **own)
        self._camera_age = prometheus.Gauge(
            "airside_camera_age_seconds", "Age of the camera's newest picture at publication.", ["camera"], **own
        )
        self._fault = prometheus.Gauge("airside_publisher_fault", "1: it does not work now.", ["publisher"], **own)
        self._faults = prometheus.Gauge("airside_publisher_faults", "Times it stopped working.", ["publisher"], **own)
        self._dropped = prometheus.Gauge("airside_publisher_dropped", "What it never sent.", ["publisher"], **own)
        self._bank = prometheus.Gauge("airside_bank_info", "What is in use.", ["snapshot", "model", "method"], **own)
        self._bank_in_use: tuple[str, str, str] | None = None
        try:
            self._server, self._thread = prometheus.start_http_server(port, addr=_ADDRESS, registry=registry)
        except OSError as error:
            raise UnavailableError(
                f"metrics: {_ADDRESS}:{port} cannot be opened ({error.strerror}); "
                "is another airside running? Give another port, or run without metrics"
            ) from None

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    def tick(
        self,
        record: TickRecord,
        duration_ms: float,
        publishers: Iterable[tuple[str, bool, int, int]] = (),
    ) -> None:
        """Count a tick that took ``duration_ms``. ``publishers``: (name, fails now, faults, dropped) of each."""
        self._ticks.inc()
        self._seconds.observe(duration_ms / 1e3)
        self._age.observe((record.published_ns - record.capture_ns) / 1e9)
        self._last.set(record.tick)
        self._level.set(int(record.level))
        self._alerts.clear()
        for alert in record.alerts:
            self._alerts.labels(alert.level.name).inc()
        self._health.set(_HEALTH_VALUE[record.health.state])
        self._valid.set(record.valid)
        for reason in record.health.reasons:
            self._reasons.labels(reason).inc()
        for camera in record.cameras:
            self._camera_health.labels(camera.camera).set(_HEALTH_VALUE[camera.health.state])
            if camera.capture_ns is not None:
                self._camera_age.labels(camera.camera).set((record.published_ns - camera.capture_ns) / 1e9)
        for name, fails, faults, dropped in publishers:
            self._fault.labels(name).set(fails)
            self._faults.labels(name).set(faults)
            self._dropped.labels(name).set(dropped)
        in_use = (record.bank_snapshot, record.model_fingerprint, record.method)
        if in_use != self._bank_in_use:
            self._bank.clear()
            self._bank.labels(*in_use).set(1)
            self._bank_in_use = in_use

    def close(self) -> None:
        """Free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=2.0)
