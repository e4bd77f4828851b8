"""What is counted: requests as the classic watchdog counts them, and what the invocations did."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from faas_supervisor.fronts.watchdog._connection import Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from faas_supervisor.fronts.watchdog._connection import Connection
    from faas_supervisor.fronts.watchdog._head import Head
    from faas_supervisor.result import Result

__all__ = ["Count", "Metrics"]

# Those of Go's client, which the classic watchdog uses.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

# Anything can be a method, and each would be a series of its own.
_METHODS: Final = frozenset({"get", "put", "head", "post", "delete", "connect", "options", "trace", "patch"})


class Count:
    """One request that is being counted.

    Attributes:
        code: What it was answered with; 499 when its client left.
    """

    def __init__(self) -> None:
        self.code = 499


class Metrics:
    """All metrics of one watchdog; a handler that shows them at `/metrics`."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        labels = ("code", "method")
        self._requests = Counter("http_requests", "total HTTP requests processed", labels, registry=registry)
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Seconds spent serving HTTP requests.",
            labels,
            buckets=_BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge("http_requests_in_flight", "total HTTP requests in-flight", registry=registry)
        self.running = Gauge(
            "faas_supervisor_scripts_in_flight", "Requests that hold a place of max_inflight.", registry=registry
        )
        self._invocations = Counter(
            "faas_supervisor_invocations", "Invocations that ended.", ("status", "failure"), registry=registry
        )
        self._phases = Counter(
            "faas_supervisor_phase_seconds", "Seconds spent in each phase.", ("phase",), registry=registry
        )
        self._bytes = Counter(
            "faas_supervisor_transferred_bytes", "Bytes moved and verified.", ("direction",), registry=registry
        )
        self._retries = Counter(
            "faas_supervisor_transfer_retries",
            "Transfers that had to be tried again.",
            ("direction",),
            registry=registry,
        )
        self._memory = Gauge(
            "faas_supervisor_script_peak_memory_bytes", "The most that the last script held.", registry=registry
        )

    def ended(self, result: Result) -> None:
        """Count what an invocation did; from any thread."""
        self._invocations.labels(result.status, result.failure or "").inc()
        for phase, spent in [*result.phases.items(), *(entry for run in result.runs for entry in run.phases.items())]:
            self._phases.labels(phase).inc(spent)
        for run in result.runs:
            for direction, tally in (("download", run.inputs), ("upload", run.outputs)):
                self._bytes.labels(direction).inc(tally.bytes)
                self._retries.labels(direction).inc(sum(item.attempts - 1 for item in tally.listed if item.attempts))
            if run.outcome is not None:
                self._memory.set(run.outcome.peak_memory)

    @property
    def names(self) -> list[str]:
        """What is shown: the name of each metric, a counter's with `_total`."""
        return [f"{found.name}_total" if found.type == "counter" else found.name for found in self._registry.collect()]

    @contextmanager
    def request(self, method: str) -> Iterator[Count]:
        """Count a request, from here to the end of the block."""
        method = method.lower() if method.lower() in _METHODS else "unknown"
        count, begun = Count(), time.monotonic()
        self.in_flight.inc()
        try:
            yield count
        finally:
            self.in_flight.dec()
            self._requests.labels(str(count.code), method).inc()
            self._seconds.labels(str(count.code), method).observe(time.monotonic() - begun)

    @asynccontextmanager
    async def answering(self, head: Head, _connection: Connection) -> AsyncIterator[Reply]:
        """Answer a scraper."""
        if head.path != "/metrics":
            yield Reply(404)
        elif head.method != "GET":
            yield Reply(405, {"Allow": "GET"})
        else:
            yield Reply(200, {"Content-Type": CONTENT_TYPE_LATEST}, generate_latest(self._registry))
