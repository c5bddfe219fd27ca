"""What a server counts, for Prometheus."""

from __future__ import annotations

import functools

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ostinato.serving.engine import Done
from ostinato.serving.house import House
from ostinato.serving.live import Ended

_FAST = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        of = self._registry
        self._requests = Counter("ostinato_requests", "Requests over HTTP.", ["method", "path", "status"], registry=of)
        self._request_seconds = Histogram(
            "ostinato_request_seconds",
            "From a request's first byte to its answer's last.",
            ["path"],
            buckets=_FAST,
            registry=of,
        )
        self._batch = Histogram(
            "ostinato_batch_operations", "Operations that were done together.", ["model"], buckets=_SIZES, registry=of
        )
        self._batch_seconds = Histogram(
            "ostinato_batch_seconds",
            "Seconds until they were kept.",
            ["model"],
            buckets=_FAST,
            registry=of,
        )
        self._ended = Counter(
            "ostinato_sessions_ended", "Sessions that ended by themselves.", ["model", "reason"], registry=of
        )
        self._sessions = Gauge("ostinato_sessions", "Live sessions.", ["model"], registry=of)
        self._bytes = Gauge("ostinato_session_bytes", "Memory of live sessions.", ["model"], registry=of)
        self._shared = Counter(
            "ostinato_shared_steps", "Steps not read: another session had begun alike.", ["model"], registry=of
        )
        self._prefixes = Gauge("ostinato_prefixes", "States that sessions may begin with.", ["model"], registry=of)
        self._prefix_bytes = Gauge("ostinato_prefix_bytes", "Memory of these.", ["model"], registry=of)
        self._waiting = Gauge("ostinato_waiting", "Operations in the queue.", ["model"], registry=of)

        self._of_request = functools.cache(
            lambda method, path, status: (
                self._requests.labels(method, path, str(status)),
                self._request_seconds.labels(path),
            )
        )

    def request(self, method: str, path: str, status: int, seconds: float) -> None:
        """A request was answered."""
        count, took = self._of_request(method, path, status)
        count.inc()
        took.observe(seconds)

    def done(self, model: str, done: Done) -> None:
        """An engine has done some operations."""
        self._batch.labels(model).observe(done.operations)
        self._batch_seconds.labels(model).observe(done.seconds)
        self._shared.labels(model).inc(done.shared_steps)

    def ended(self, model: str, ended: Ended) -> None:
        """A session has ended by itself."""
        self._ended.labels(model, ended.reason).inc()

    def text(self, house: House) -> bytes:
        """As Prometheus reads it."""
        for name, served in house.served.items():
            if served.engine is not None:
                live, prefixes = served.engine.sessions.live, served.engine.sessions.prefixes
                self._prefixes.labels(name).set(len(prefixes))
                self._prefix_bytes.labels(name).set(prefixes.num_bytes)
                self._sessions.labels(name).set(len(live))
                self._bytes.labels(name).set(live.num_bytes)
                self._waiting.labels(name).set(served.engine.waiting)
        return generate_latest(self._registry)
