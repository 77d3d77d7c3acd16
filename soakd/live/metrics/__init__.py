"""The Prometheus metrics, with the names, labels and units of docs/metrics.md. Computes nothing.

An unknown value is absent, never 0. A separate registry leaves out the process and platform collectors: the daemon's
footprint has its own names, and the engines are other processes.
"""

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from soakd.live.metrics import backends, daemon_and_host, engines, growth, judged, runs
from soakd.live.metrics.family import Family
from soakd.live.status import RunStatus

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
FAMILIES: tuple[Family, ...] = (
    *runs.FAMILIES,
    *engines.FAMILIES,
    *backends.FAMILIES,
    *growth.FAMILIES,
    *judged.FAMILIES,
    *daemon_and_host.FAMILIES,
)
"""All families, in the order of a scrape."""


class SoakdCollector(Collector):
    """The families of one scrape of one run. `now_s` is CLOCK_MONOTONIC seconds."""

    def __init__(self, status: RunStatus, now_s: float) -> None:
        self._status = status
        self._now_s = now_s

    def collect(self) -> Iterator[Metric]:
        """Yield every family that has a value."""
        for family in FAMILIES:
            metric = family.collect(self._status, self._now_s)
            if metric.samples:
                yield metric


def render(status: RunStatus, now_s: float) -> bytes:
    """Render one scrape in Prometheus' text format (`CONTENT_TYPE`); `now_s` is CLOCK_MONOTONIC seconds."""
    registry = CollectorRegistry()
    registry.register(SoakdCollector(status, now_s))
    return generate_latest(registry)
