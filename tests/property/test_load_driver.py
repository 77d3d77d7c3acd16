"""Whatever an engine takes for its operations, none that was due is lost from the books."""

from hypothesis import given, settings
from hypothesis import strategies as st

from soakd.wire.spec import Operation
from soakd.worker.load import Arrivals, Lanes, SyncDriver, Tape
from soakd.worker.load.arrivals import SHAPES
from soakd.worker.load.recorder import PythonRecorder

NS = 1_000_000_000
TAPE = Tape([Operation("read", "k", {}, 1)])
LANES = Lanes(PythonRecorder(), PythonRecorder())


@settings(deadline=None)
@given(
    st.sampled_from([0.5, 7.0, 100.0, 333.3]), st.sampled_from(sorted(SHAPES)), st.integers(1, 20),
    st.lists(st.integers(0, 3 * NS), max_size=20), st.integers(0, 300_000_000),
)  # fmt: skip
def test_what_is_due_is_issued_or_counted_as_skipped(
    rate: float, profile: str, seconds: int, stalls_ns: list[int], house_ns: int
) -> None:
    now_ns, stalls = 0, iter(stalls_ns)

    def work(op: Operation) -> None:
        nonlocal now_ns
        now_ns += next(stalls, 1000)

    def sleep(sleep_s: float) -> None:
        nonlocal now_ns
        assert sleep_s > 0
        now_ns += round(sleep_s * NS)

    def housekeeping(at_ns: int) -> int:
        nonlocal now_ns
        now_ns += house_ns
        return at_ns + NS

    driver = SyncDriver(work, TAPE, LANES, lambda error: None, clock_ns=lambda: now_ns, sleep=sleep)
    arrivals = Arrivals(rate, profile, 0, seconds * NS)
    assert driver.run(arrivals, seconds * NS, housekeeping)
    assert driver.operations_total + driver.skipped_total == arrivals.total
    assert now_ns >= seconds * NS
    LANES.take()
