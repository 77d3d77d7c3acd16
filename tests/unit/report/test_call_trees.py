"""Flame graphs: from whole stacks or from named sites, as markup that is safe, whole and needs no network."""

import re
from pathlib import Path
from typing import Any

import pytest

from soakd.errors import JournalError
from soakd.report import call_trees
from soakd.report.call_trees import Flame, collect, tree
from soakd.report.flamegraph import fragment, page
from soakd.wire.records import Record, make_record
from soakd.worker.attribution.flames import HARNESS, NO_SYMBOLS, UNKNOWN, readable
from soakd.worker.attribution.frames import Frame
from tests.recorded import remade, stamp
from tests.unit.report.test_diff import look, written

STACKS = [
    (["shop.py:36 in operation", "shop.py:27 in add"], 75.0),
    (["shop.py:36 in operation", "soakd-py/src/leaks.rs:10 in leak_box"], 20.0),
    ([NO_SYMBOLS], 5.0),
]


def flame(*stacks: tuple[list[str], float], **fields: Any) -> Flame:
    given = {"engine": "shop", "route": "native", "source": "capture", "operations": 300, **fields}
    return Flame(**given, root=tree(stacks))


def calls(markup: str) -> dict[str, tuple[float, float, int]]:
    """Return begin, width in percent and level of every call that is drawn."""
    found = re.findall(
        r'<svg class="call \w+" x="([\d.]+)%" y="\d+" width="([\d.]+)%" height="\d+" role="treeitem" '
        r'aria-level="(\d+)" aria-label="([^"]*?): ',
        markup,
    )
    return {name: (float(x), float(w), int(level)) for x, w, level, name in found}


def test_stacks_become_a_tree_whose_widths_are_shares() -> None:
    drawn = calls(fragment([flame(*STACKS)]))
    assert drawn == {
        "all": (0.0, 100.0, 1),
        "shop.py:36 in operation": (0.0, 95.0, 2),
        "shop.py:27 in add": (0.0, 75.0, 3),
        "soakd-py/src/leaks.rs:10 in leak_box": (75.0, 20.0, 3),
        NO_SYMBOLS: (95.0, 5.0, 2),
    }


def test_what_leads_to_the_engine_is_left_out_and_what_is_too_narrow_is_not_drawn() -> None:
    stack = ["<frozen runpy>:88 in _run_code", "__main__.py:55 in <module>", "soakd/worker/life.py:47 in live"]
    drawn = calls(fragment([flame(([*stack, "shop.py:27 in add"], 99.95), (["other.py:1 in f"], 0.05))]))
    assert drawn.keys() == {"all", "shop.py:27 in add"}


def test_names_of_an_engine_cannot_become_markup() -> None:
    nasty = '<script>alert("x")</script>\x1b[31m&'
    for markup in (fragment([flame(([nasty], 9.0), engine=nasty, note=nasty)]), page(nasty, [flame(([nasty], 9.0))])):
        assert "<script>alert" not in markup
        assert "\x1b" not in markup
        assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;" in markup


def test_a_fragment_has_no_script_and_a_page_needs_no_network() -> None:
    assert "<script" not in fragment([flame(*STACKS)])
    assert fragment([]) == ""
    whole = page("rb", [flame(*STACKS)])
    assert whole.startswith("<!doctype html>")
    assert not re.search(r"(?:src|href)=|url\(|@import|https?://", whole)


def test_one_call_can_be_reached_by_tab_and_the_heaviest_leaves_stand_in_a_table() -> None:
    markup = fragment([flame(*STACKS)])
    assert markup.count('tabindex="0"') == 1
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td></tr>", markup)
    assert rows[0] == ("shop.py:27 in add", "75 B/op", "75.0%")
    assert len(rows) == 3


def test_a_stack_of_a_capture_is_told_without_the_interpreter_and_soakd() -> None:
    from soakd.worker import life

    stack = [
        Frame("/x/soakd-py/src/leaks.rs", 10, "leak_box"), Frame(UNKNOWN, 0, UNKNOWN), Frame(UNKNOWN, 0, UNKNOWN),
        Frame("/srv/app/shop.py", 61, "add"), Frame("Python/ceval.c", 10, "_PyEval_EvalFrameDefault"),
        Frame(life.__file__, 47, "live"), Frame("<frozen runpy>", 88, "_run_code"), Frame(UNKNOWN, 0, "_start"),
    ]  # fmt: skip
    assert readable(stack) == ("shop.py:61 in add", NO_SYMBOLS, "soakd-py/src/leaks.rs:10 in leak_box")
    assert readable([Frame(life.__file__, 47, "live")]) == (HARNESS,)


def captured(tmp_path: Path) -> Record:
    body = {
        "id": 7, "route": "native", "state": "done", "sites": [], "operations": [100, 300],
        "capture": [
            {"path": str(tmp_path / "moved" / f"mine-7.{n}.memray"), "operations": 100 * n} for n in (1, 2)
        ],
    }  # fmt: skip
    return make_record("attribution", engine="mine", segment=0, at=stamp(150.0), body=body)


def test_the_longest_capture_is_read_where_the_run_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    async def read(python: str | None, path: Path) -> dict[str, Any]:
        asked.append(path)
        return {"stacks": [{"frames": ["shop.py:27 in add"], "bytes": 20_000}]}

    monkeypatch.setattr(call_trees, "read_stacks", read)
    run = written(tmp_path / "r", captured(tmp_path))
    (run.path / "captures").mkdir()
    (run.path / "captures" / "mine-7.2.memray").write_bytes(b"")
    (found,) = collect(run)
    assert asked == [run.path / "captures" / "mine-7.2.memray"]
    assert (found.source, found.operations, found.root.value) == ("capture", 200, 100.0)


def test_without_the_capture_the_sites_are_drawn_and_it_is_said(tmp_path: Path) -> None:
    run = written(tmp_path / "r", captured(tmp_path))
    assert collect(run) == []
    named = look(("add", 98.0))
    named = remade(named, body={**named.body, "route": "native"})
    (found,) = collect(written(tmp_path / "s", captured(tmp_path), named))
    assert (found.source, found.root.value, found.note) == ("sites", 98.0, "mine-7.2.memray is gone")


def test_an_engine_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match='no engine "nobody"; engines: mine, control-null, control-leak'):
        collect(written(tmp_path / "r"), "nobody")
