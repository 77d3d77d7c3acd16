"""What a worker tells of a fault: when it notices, and from when on its operations succeed."""

from soakd.worker.fault_watch import QUIET_S, FaultWatch

ORDER = {"id": 3, "name": "kill@redis", "state": "begin", "touched": True}


def totals(operations: int, errors: int = 0, retries: int = 0) -> dict[str, float]:
    return {"operations_total": operations, "errors_total": errors, "retries_total": retries}


def test_a_counter_of_trouble_that_moves_is_notice_and_is_told_once() -> None:
    watch = FaultWatch(ORDER, totals(100, 2))
    assert watch.look(1.0, totals(110, 2)) == []
    (told,) = watch.look(1.1, totals(111, 2, retries=1))
    assert (told["state"], told["id"], told["mono_s"]) == ("detected", 3, 1.1)
    assert watch.look(1.2, totals(111, 3, retries=5)) == []


def test_recovery_is_the_first_success_that_no_failure_follows() -> None:
    watch = FaultWatch(ORDER, totals(0))
    watch.look(1.0, totals(5, 5))
    watch.heal()
    assert watch.look(1.1, totals(6, 5)) == []  # luck: the next ones fail
    assert watch.look(1.2, totals(8, 7)) == []
    assert watch.look(2.0, totals(9, 7)) == []
    assert watch.look(2.0 + QUIET_S / 2, totals(20, 7)) == []
    (told,) = watch.look(2.0 + QUIET_S, totals(30, 7))
    assert (told["state"], told["mono_s"]) == ("recovered", 2.0)


def test_operations_before_the_fault_is_healed_are_no_recovery() -> None:
    watch = FaultWatch(ORDER, totals(0))
    assert watch.look(5.0, totals(100)) == []
    assert watch.look(9.0, totals(200)) == []


def test_a_worker_that_is_not_touched_only_counts() -> None:
    watch = FaultWatch({**ORDER, "touched": False}, totals(0))
    watch.heal()
    assert watch.look(1.0, totals(10, 1)) == watch.look(5.0, totals(20, 1)) == []
    told = watch.end(6.0, totals(30, 4, retries=2))
    assert (told["operations"], told["failed_operations"], told["retried_operations"]) == (30, 4, 2)
