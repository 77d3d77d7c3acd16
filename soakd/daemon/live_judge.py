"""Judges a run while it goes on: never two judges at once, and rarely enough to take little of the processor."""

import asyncio
import time
from collections.abc import Callable

from soakd.daemon.judge_process import run_judge
from soakd.daemon.looks.scheduler import LookScheduler
from soakd.daemon.workers.supervisor import Supervisor
from soakd.errors import JournalError
from soakd.procs.proc import cpu_of_children_s
from soakd.record.run_folder import RunDir
from soakd.verdict.types import Verdict

CPU_SHARE = 0.05
"""So much of one core the live judge may take."""


class LiveJudge:
    """The verdict so far.

    Args:
        run: what is judged.
        every_s: seconds between two judgements, at least.
        publish: takes each verdict.
        failed: takes the error of a judge that failed; the one at the end may still do its work.
    """

    def __init__(
        self, run: RunDir, every_s: float, *, publish: Callable[[Verdict], None],
        failed: Callable[[JournalError], None],
    ) -> None:  # fmt: skip
        self._run, self._every_s = run, every_s
        self._publish, self._failed = publish, failed
        self._one = asyncio.Lock()
        self._took_s = 0.0

    async def run(self, supervisor: Supervisor, looks: LookScheduler) -> None:
        """Judge now and then, once the run has begun, and have suspects looked at; until cancelled."""
        await supervisor.started.wait()
        pause_s = self._every_s
        while True:
            await asyncio.sleep(pause_s)
            cpu_s = cpu_of_children_s()
            verdict = await self.judge()
            if verdict is not None and supervisor.origin_s is not None:
                looks.consider(verdict, supervisor.origin_s, took_s=self._took_s)
            pause_s = max(self._every_s, (cpu_of_children_s() - cpu_s) / CPU_SHARE)

    async def judge(self) -> Verdict | None:
        """Judge what there is so far, and publish it; None where the judge fails."""
        try:
            async with self._one:
                begun_s = time.monotonic()
                verdict = await run_judge(self._run, live=True)
                self._took_s = time.monotonic() - begun_s
        except JournalError as error:
            self._failed(error)
            return None
        self._publish(verdict)
        return verdict
