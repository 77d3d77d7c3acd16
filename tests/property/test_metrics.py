"""Whatever happens to workers and servers, in whatever order it is told: no counter of a scrape ever decreases."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from soakd.live import metrics
from soakd.live.status import RunStatus
from soakd.wire.records import Record
from tests.showing import ORIGIN_S, hello, incident, latency, of_server, origin, outside, plan, record, sample, server

ENGINE = "cache-rust"
LIVES = st.integers(0, 3)
COUNTS = st.integers(0, 10**9)


def late(told: Record, segment: int) -> Record:
    return record(told.kind, told.engine, 20.0, told.body, segment=segment)


EVENTS = st.one_of(
    st.builds(lambda life: hello(ENGINE, segment=life), LIVES),
    st.builds(lambda life, what: incident(ENGINE, what, segment=life), LIVES, st.sampled_from(["crash", "restart"])),
    st.builds(lambda life, count: sample(ENGINE, 20.0, count, segment=life, errors_total=count // 2), LIVES, COUNTS),
    st.builds(
        lambda life, count: sample(ENGINE, 20.0, 1, segment=life, **{"counter.retries_total": count}), LIVES, COUNTS
    ),
    st.builds(lambda life, cpu_s: outside(ENGINE, 20.0, segment=life, cpu_s_total=cpu_s), LIVES, st.floats(0, 1e6)),
    st.builds(
        lambda life, service_s, count: late(latency(ENGINE, 20.0, service_s=service_s, count=count), life),
        LIVES, st.floats(1e-7, 100.0), st.integers(1, 1000),
    ),
    st.builds(lambda life: server(ENGINE, segment=life), LIVES),
    st.builds(lambda life, cpu_s: of_server(ENGINE, 20.0, segment=life, cpu_s_total=cpu_s), LIVES, st.floats(0, 1e6)),
    st.builds(lambda what: incident(ENGINE, what), st.sampled_from(["server_crash", "server_restart", "odd"])),
)  # fmt: skip


def counters(status: RunStatus) -> Iterator[tuple[tuple[str, ...], float]]:
    text = metrics.render(status, ORIGIN_S + 20.0).decode()
    for family in text_string_to_metric_families(text):
        if family.type in ("counter", "histogram"):
            for found in family.samples:
                yield (found.name, *(f"{key}={value}" for key, value in sorted(found.labels.items()))), found.value


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENTS, max_size=12))
def test_no_counter_ever_decreases_or_vanishes(events: list[Record]) -> None:
    status = RunStatus(plan(), "a-run")
    status.fold([hello(ENGINE), origin()])
    before = dict(counters(status))
    for event in events:
        status.fold([event])
        after = dict(counters(status))
        assert [key for key, value in before.items() if after.get(key, -1.0) < value] == []
        before = after
    assert status.unreadable == 0
