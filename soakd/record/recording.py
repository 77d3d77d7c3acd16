"""What was recorded of a run, on one clock: the one way to the records in its journal."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from soakd.errors import JournalError
from soakd.record import journal
from soakd.record.clocks import ClockShift, clock_shifts, on_one_clock
from soakd.record.run_folder import RunDir
from soakd.setup.plan import Plan
from soakd.setup.plan_json import plan_from_dict
from soakd.wire.records import Origin, Record, in_order, moved


class Recording:
    """The records of one run, read as they are asked for; the run may go on meanwhile.

    Every record is on the clocks of the run's first daemon, whatever daemons and reboots followed.
    """

    def __init__(self, path: Path, meta: Mapping[str, Any]) -> None:
        self.path = path
        self.meta = meta
        """The facts about the run: run_id, plan, environment, config_sha256."""
        self.phases = tuple(journal.read_records(path, "phase", engine=""))
        """What is told of the run itself, on the clocks of those who told it."""
        self.handovers: list[ClockShift] = clock_shifts(self.phases)
        """Where a daemon took the run over from one that was gone."""

    @classmethod
    def open(cls, run: RunDir) -> "Recording":
        """Read the plan of a run, and its handovers.

        Raises:
            JournalError: the journal cannot be read, or holds no run.
        """
        return cls.of_journal(run.journal)

    @classmethod
    def of_journal(cls, path: Path) -> "Recording":
        """Do the same of a journal without its folder."""
        meta = journal.read_meta(path)
        if "plan" not in meta or "run_id" not in meta:
            raise JournalError(f"{path}: holds no run: its plan was never written")
        return cls(path, meta)

    @cached_property
    def plan(self) -> Plan:
        """What was planned."""
        return plan_from_dict(self.meta["plan"])

    @property
    def origin(self) -> Origin | None:
        """The beginning of the run's time; None where the engines never stood ready."""
        found = [record for record in on_one_clock(self.phases, self.handovers) if isinstance(record, Origin)]
        return min(found, key=in_order, default=None)

    def records(self, *kinds: str, engine: str | None = None) -> Iterator[Record]:
        """Yield the records of some kinds in the order of their commit, one at a time.

        Raises:
            JournalError: the file is damaged.
        """
        return on_one_clock(journal.read_records(self.path, *kinds, engine=engine), self.handovers)

    def last_samples(self) -> Iterator[Record]:
        """Yield the last sample of each life."""
        rows = journal.query(self.path, "SELECT MAX(id) FROM record WHERE kind = 'sample' GROUP BY engine, segment")
        return on_one_clock(journal.read_by_id(self.path, [row[0] for row in rows]), self.handovers)

    def latest(
        self, kind: str, engine: str, count: int, *, before: int | None = None, without: str = ""
    ) -> list[tuple[int, Record]]:  # fmt: skip
        """Read the last records of one kind of one engine, with their numbers: `journal.read_latest`."""
        return journal.read_latest(self.path, kind, engine, count, before=before, without=without)

    def latest_number(self) -> int:
        """Return the number of the last record; 0 where there is none."""
        return journal.read_latest_number(self.path)

    def since(self, number: int) -> list[tuple[int, Record]]:
        """Read the records after one, with their numbers: `journal.read_since`; take note of new handovers."""
        found = journal.read_since(self.path, number)
        self.handovers += clock_shifts(record for _, record in found)
        return found

    def on_this_clock(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield records as the clock of the last daemon's boot would have it."""
        shift_s = self.handovers[-1].shift_s if self.handovers else 0.0
        for record in on_one_clock(records, self.handovers):
            yield moved(record, -shift_s)
