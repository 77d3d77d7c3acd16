"""Members that went for good, and members that were replaced. One reading a second."""

from soakd.daemon.workers.losses import Loss, Losses


def told(*readings: str, old_s: float = 5.0, counts: bool = True) -> list[tuple[int, Loss]]:
    """Show one reading a word: each letter is a member, and letters of one case have one name."""
    losses = Losses(old_s)
    return [
        (number, loss)
        for number, reading in enumerate(readings)
        for loss in losses.look(number, {c: "big" if c.isupper() else "small" for c in reading}, counts=counts)
    ]


def test_a_member_that_was_there_for_long_and_goes_is_told_once_and_three_readings_later() -> None:
    assert told(*["ab"] * 10, *["a"] * 9) == [(13, Loss("small", 1, 10.0))]


def test_a_member_that_is_replaced_within_two_readings_is_not_missed() -> None:
    assert told(*["ab"] * 10, "a", "a", *["ac"] * 9) == []


def test_a_member_whose_replacement_was_started_before_it_went_is_not_missed() -> None:
    assert told(*["ab"] * 10, "abc", *["ac"] * 9) == []


def test_a_replacement_that_does_not_stay_replaces_nobody() -> None:
    assert [loss.count for _, loss in told(*["ab"] * 10, "ac", *["a"] * 9)] == [1]


def test_one_newcomer_replaces_one_member() -> None:
    assert [loss.count for _, loss in told(*["abc"] * 10, *["ad"] * 9)] == [1]


def test_a_newcomer_of_another_name_replaces_nobody() -> None:
    assert [loss.name for _, loss in told(*["ab"] * 10, *["aB"] * 9)] == ["small"]


def test_members_that_come_and_go_are_not_missed() -> None:
    assert told(*["ab", "ac", "ad", "ae"] * 10) == []


def test_a_pool_that_shrinks_is_told_with_how_many_went() -> None:
    assert [loss.count for _, loss in told(*["abcdef"] * 10, *["abc"] * 5, *["a"] * 5)] == [3, 2]


def test_who_goes_while_nothing_counts_is_not_missed_later() -> None:
    assert told(*["ab"] * 10, *["a"] * 9, counts=False) == []


def test_who_came_while_a_tool_was_at_work_is_never_missed() -> None:
    losses = Losses(2.0)
    found = [losses.look(n, {"a": "x"}, counts=True, is_looked_at=True) for n in range(10)]
    found += [losses.look(n, {}, counts=True) for n in range(10, 20)]
    assert not any(found)


def test_ten_thousand_of_as_many_names_may_go_at_once() -> None:
    losses = Losses(5.0)
    losses.look(0.0, {number: f"thread {number}" for number in range(10_000)}, counts=True)
    readings = [losses.look(10.0 + number, {}, counts=True) for number in range(4)]
    assert [len(lost) for lost in readings] == [0, 0, 0, 10_000]
