"""Shows what was known of a run before it was resumed."""

import asyncio
from collections.abc import Callable

from soakd.errors import JournalError
from soakd.live.status import RunStatus, recalled
from soakd.record.resume import Resumption, replayed, samples_before
from soakd.record.run_folder import RunDir


def replay(status: RunStatus, run: RunDir, resumption: Resumption) -> None:
    """Show the state that the run was left in, so that no count falls back."""
    status.fold(list(replayed(run.journal, resumption)))
    status.resume()


async def recall(
    status: RunStatus, run: RunDir, resumption: Resumption, problem: Callable[[str, str], None]
) -> None:  # fmt: skip
    """Count the samples and draw the series of the time before: seconds of work, in a thread, for both are only shown.

    `problem` logs what went wrong.
    """
    try:
        status.count(await asyncio.to_thread(samples_before, run.journal, resumption))
        past = await asyncio.to_thread(recalled, run.journal, run.run_id, resumption)
    except JournalError as error:
        problem("not_recalled", str(error))
    else:
        status.recall(past)
