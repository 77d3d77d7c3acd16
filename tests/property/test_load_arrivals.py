"""What holds for every rate, profile and phase."""

from hypothesis import given
from hypothesis import strategies as st

from soakd.worker.load.arrivals import SHAPES, Arrivals

phases = st.tuples(st.integers(0, 10**15), st.integers(1, 10**10))
rates = st.one_of(st.floats(0.01, 1000), st.integers(1, 1000), st.sampled_from([1 / 3, 0.1, 50_000.0]))
profiles = st.sampled_from(sorted(SHAPES))


@given(rates, profiles, phases)
def test_due_times_never_go_back_and_stay_in_the_phase(rate: float, profile: str, phase: tuple[int, int]) -> None:
    start_ns, end_ns = phase[0], phase[0] + phase[1]
    arrivals = Arrivals(rate, profile, start_ns, end_ns)
    times = [arrivals.time_ns(index) for index in range(min(arrivals.total, 3000))]
    assert times == sorted(times)
    assert not times or (times[0] == start_ns and times[-1] < end_ns)


@given(rates, profiles, phases, st.floats(0, 1))
def test_the_count_of_what_is_due_agrees_with_the_due_times(
    rate: float, profile: str, phase: tuple[int, int], share: float
) -> None:
    arrivals = Arrivals(rate, profile, phase[0], phase[0] + phase[1])
    now_ns = phase[0] + int(phase[1] * share)
    due = arrivals.due_by(now_ns)
    assert due == 0 or arrivals.time_ns(due - 1) <= now_ns
    assert due == arrivals.total or arrivals.time_ns(due) > now_ns


@given(rates, profiles, phases)
def test_a_phase_holds_its_mean_rate_to_one_operation(rate: float, profile: str, phase: tuple[int, int]) -> None:
    arrivals = Arrivals(rate, profile, phase[0], phase[0] + phase[1])
    assert abs(arrivals.total - rate * phase[1] / 1e9) < 1 + 1e-6 * arrivals.total
