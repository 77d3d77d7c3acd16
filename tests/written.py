"""The folder of a made-up run, as a daemon leaves it."""

import json
from pathlib import Path
from typing import Any

from soakd.judge.judge import judge
from soakd.record import run_folder
from soakd.record.journal import Journal
from soakd.record.run_folder import RunDir
from soakd.setup.plan import Plan
from soakd.setup.plan_json import plan_as_dict
from soakd.wire.records import Kind, Record, make_record
from tests.recorded import MONO_S, made_up, plan_of, stamp

SHORT = plan_of()


def record(kind: Kind, t_s: float, body: dict[str, Any], engine: str = "mine") -> Record:
    return make_record(kind, engine=engine, segment=0, at=stamp(t_s), body=body)


def snapshot(t_s: float, lists: int) -> Record:
    body = {
        "forked_at_s": MONO_S + t_s, "method": "pympler", "objects": lists, "bytes": 100 * lists,
        "types": [{"type": "list", "count": lists, "bytes": 100 * lists}, {"type": "dict", "count": 9, "bytes": 900}],
        "containers": [{"type": "dict", "length": 10 * lists, "id": 4096, "name": "mine.cache"}],
    }  # fmt: skip
    return record("snapshot", t_s, body)


def recorded_run(folder: Path, plan: Plan = SHORT, more: list[Record] | None = None, **stories: Any) -> RunDir:
    """Write a run's folder as a daemon leaves it, and judge it."""
    run = RunDir.create(folder)
    journal = Journal(run.journal, on_commit=lambda batch: None, on_failure=print)
    journal.set_meta({"run_id": run.run_id, "plan": plan_as_dict(plan), "environment": {}, "config_sha256": None})
    for made in [*made_up(plan, stories), *(more or [])]:
        journal.put(made)
    journal.close()
    run_folder.write_atomically(run.path / run_folder.CONFIG, plan.config.text)
    judge(run, live=False)
    run.unlock()
    return run


def verdict_of(run: RunDir) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.verdict.read_text(encoding="utf-8"))
    return found
