"""What a PASS does not speak of: parts of an engine that went, and kinds of leaks that nothing looked for."""

from collections.abc import Iterator

from soakd.judge.story.rundata import EngineData

LOST = ("child_lost", "thread_lost")
MOST_TOLD = 3


def lost_words(data: EngineData) -> Iterator[str]:
    """Name the children and threads that went and were not replaced; whether they should have, their engine knows."""
    details = [str(i.detail) for i in data.incidents if i.what in LOST and i.fault is None]
    yield from (f"{detail}: a check cannot tell whether it was meant to" for detail in details[:MOST_TOLD])
    if len(details) > MOST_TOLD:
        yield f"{data.name}: {len(details) - MOST_TOLD} more such incidents"
