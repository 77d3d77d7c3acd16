"""Whether soakd itself stood still: then it does not hear the workers."""

from soakd.daemon.workers.liveness import Liveness, Rounds


def test_a_round_that_comes_much_too_late_is_a_standstill_once() -> None:
    clock = iter([100.0, 100.5, 102.0, 110.0, 110.1])
    rounds = Rounds(0.5, lambda: next(clock))
    assert [rounds.missed_s() for _ in range(5)] == [0.0, 0.0, 0.0, 7.5, 0.0]


def test_a_time_in_which_the_daemon_heard_nothing_does_not_count_as_silence() -> None:
    progress = Liveness(heard_s=100.0, operated_s=98.0)
    progress.spare(7.5)
    assert (progress.heard_s, progress.operated_s) == (107.5, 105.5)
