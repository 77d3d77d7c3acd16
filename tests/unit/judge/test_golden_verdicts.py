"""Recorded runs are judged to the verdict files that are kept beside them, byte for byte.

The journals are of real soaks (but `leak-and-light-look`, which is made up); none of them is written by today's code.
`make golden` writes the verdict files anew: read the difference.
"""

import gzip
import json
import lzma
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from soakd.judge.judge import judge
from soakd.record.run_folder import RunDir, to_json
from tests.conftest import GOLDEN, Golden

JOURNALS = sorted((GOLDEN / "journals").glob("*.sql.xz"))
RUNNING = ["leak-and-look-running", "left-and-resumed", "faults-and-private-servers"]
"""Judged as runs that go on, too."""
INSERT = """INSERT INTO record (kind, engine, segment, wall_s, boot_s, mono_s, body)
    SELECT ?, ?, 0, wall_s + 0.5, boot_s + 0.5, mono_s + 0.5, ? FROM record WHERE id = ?"""
ODD_BODIES = (GOLDEN / "journals" / "odd-bodies.txt").read_text(encoding="utf-8").splitlines()
"""Every one of them is put into a journal as a record of every kind."""
KINDS = ("hello", "phase", "sample", "latency", "snapshot", "attribution", "incident", "bye", "server", "fault", "new")
OF_THE_RUN = ("phase", "sample", "incident")
"""Kinds of which some records concern the run, and no engine."""


def restored(path: Path, folder: Path) -> RunDir:
    """A run's folder with a journal that is kept as SQL."""
    run = RunDir(folder)
    text = (lzma.decompress if path.suffix == ".xz" else gzip.decompress)(path.read_bytes()).decode()
    with sqlite3.connect(run.journal) as db:
        db.executescript(text)
    db.close()
    return run


def written(run: RunDir, *, live: bool = False) -> str:
    """The verdict file without what the file of the journal itself makes of it: other versions of SQLite differ."""
    judge(run, live=live)
    content: dict[str, Any] = json.loads(run.verdict.read_text(encoding="utf-8"))
    del content["sha256"]
    content["artifacts"] = [artifact["path"] for artifact in content["artifacts"]]
    return to_json(content)


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: path.name.partition(".")[0])
def test_a_recorded_run_keeps_its_verdict(path: Path, tmp_path: Path, golden: Golden) -> None:
    name = path.name.partition(".")[0]
    golden(f"verdicts/{name}.json", written(restored(path, tmp_path)))


@pytest.mark.parametrize("name", RUNNING)
def test_a_run_that_goes_on_keeps_its_verdict(name: str, tmp_path: Path, golden: Golden) -> None:
    run = restored(GOLDEN / "journals" / f"{name}.sql.xz", tmp_path)
    golden(f"verdicts/{name}-live.json", written(run, live=True))


def test_a_journal_of_the_first_version_keeps_its_verdict(tmp_path: Path, golden: Golden) -> None:
    golden("verdicts/journal-1.json", written(restored(GOLDEN / "journal-1.sql.gz", tmp_path)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_is_not_what_it_should_be_keeps_its_place_in_the_verdict(
    kind: str, tmp_path: Path, golden: Golden
) -> None:
    run = restored(GOLDEN / "journals" / "leak-and-light-look.sql.xz", tmp_path)
    with sqlite3.connect(run.journal) as db:
        for at, body in enumerate(ODD_BODIES, 200):
            for engine in ("mine", "") if kind in OF_THE_RUN else ("mine",):
                db.execute(INSERT, (kind, engine, body, at))
    db.close()
    golden(f"verdicts/odd-{kind}.json", written(run))
