"""What a PASS does not cover: lost parts of an engine, work that became cheap, and what is not watched."""

from collections.abc import Iterator, Sequence

from soakd.judge.story.rundata import EngineData
from soakd.verdict.check import Check

LOST = ("child_lost", "thread_lost")
MOST_TOLD = 3
WATCHED_SINCE = "children"
"""A signal that every recording has in which something below is watched: older ones are not asked for it."""
NEVER = (
    "the memory of devices and of io_uring", "closed files outside of TMPDIR (in /dev/shm only their sum is watched)",
    "message queues and semaphores of System V",
)  # fmt: skip
WHERE_READ = {
    "queued_bytes": "unread pipes and sockets of {}",
    "scratch_bytes": "temporary files of {}",
    "counter.swallowed_errors": "errors that {} may swallow (no counter `swallowed_errors`)",
}
"""Signal -> what is not watched of the engines that do not have it."""


def doubts(data: EngineData, checks: Sequence[Check]) -> Iterator[str]:
    """Name the children and threads that ended and were not replaced, and work that became cheap."""
    details = [str(i.detail) for i in data.incidents if i.what in LOST and i.fault is None]
    yield from (f"{detail}: a check cannot tell whether it was meant to" for detail in details[:MOST_TOLD])
    if len(details) > MOST_TOLD:
        yield f"{data.name}: {len(details) - MOST_TOLD} more such incidents"
    yield from (f"{data.name}: {check.reason}" for check in checks if check.id == "behaviour.changed")


def unwatched(engines: Sequence[EngineData]) -> Iterator[str]:
    """Return one sentence on what was not watched in these engines."""
    recent = [engine for engine in engines if len(engine.signal(WATCHED_SINCE))]
    if not recent:
        return
    parts = []
    for signal, words in WHERE_READ.items():
        if names := [engine.name for engine in recent if not len(engine.signal(signal))]:
            parts.append(words.format(" and ".join(names) if len(names) <= MOST_TOLD else f"{len(names)} engines"))
    yield f"not watched: {'; '.join((*parts, *NEVER))}"
