"""The processes below a worker: which are the engine's, and what each executes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from soakd.procs.tree import Entry, Table, Tree, below, executed, own_bytes
from soakd.wire.spec import LOOK_PROCESS
from soakd.worker.probes.fork import ForkedChild

SAYS_READY = "import sys; print('ready', flush=True); sys.stdin.read()"


@contextmanager
def waiting(*arguments: str) -> Iterator[int]:
    """Run Python with some arguments until the end of the block, once it has said that it is ready."""
    with subprocess.Popen(
        [sys.executable, "-S", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        process.communicate()


def entry(pid: int, parent: int, command: bytes = b"python") -> Entry:
    return Entry(pid, parent, command, b"S", pid * 10)


def table(*entries: Entry) -> Table:
    return Table(entries)


def test_children_their_children_and_orphans_that_the_keeper_adopted_are_the_engines() -> None:
    found = below(table(entry(1, 0), entry(5, 1), entry(6, 5), entry(7, 6), entry(8, 7), entry(9, 5), entry(10, 1)), 6)
    assert sorted(each.pid for each in found) == [7, 8, 9]


def test_a_child_that_a_probe_forked_is_not_the_engines_but_one_that_calls_itself_so_deeper_down_is() -> None:
    found = below(table(entry(5, 1), entry(6, 5), entry(7, 6, LOOK_PROCESS), entry(8, 6), entry(9, 8, LOOK_PROCESS)), 6)
    assert sorted(each.pid for each in found) == [8, 9]


def test_below_a_worker_that_is_gone_there_is_nothing() -> None:
    assert below(table(entry(5, 1), entry(9, 5)), 6) == []


def test_a_forked_probe_is_called_by_a_name_that_tells_it_from_the_engines_children() -> None:
    comm = ""

    def name() -> dict[str, str]:
        return {"name": comm}

    def read_name() -> None:
        nonlocal comm
        comm = Path("/proc/self/comm").read_text(encoding="ascii").strip()

    child = ForkedChild.start(name, prepare=read_name)
    while (result := child.poll()) is None:
        os.sched_yield()
    assert result.values == {"name": LOOK_PROCESS.decode()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-c", SAYS_READY, "--password=secret"), "-c"),
        (("-u", "-c", SAYS_READY), "-c"),
    ],
)
def test_a_child_is_named_by_its_program_and_script_and_never_by_its_other_arguments(
    arguments: tuple[str, ...], words: str
) -> None:
    with waiting(*arguments) as pid:
        program, _, rest = executed(pid).partition(" ")
    assert program.startswith("python")
    assert rest == words


def test_a_script_is_part_of_the_name(tmp_path: Path) -> None:
    script = tmp_path / "consume.py"
    script.write_text(SAYS_READY, encoding="ascii")
    with waiting(str(script)) as pid:
        assert executed(pid).endswith(" consume.py")


def test_a_table_finds_newcomers_and_forgets_who_is_gone() -> None:
    tree = Tree()
    tree.table()
    with waiting("-c", SAYS_READY) as pid:
        found = tree.table()
        assert found is not None
        assert found.entries[pid].parent == os.getpid()
        assert (own_bytes(pid) or 0) > 100_000
    found = tree.table()
    assert found is not None
    assert pid not in found.entries
    assert own_bytes(pid) is None
    assert executed(pid) == ""
    assert tree.duration_s > 0.0
