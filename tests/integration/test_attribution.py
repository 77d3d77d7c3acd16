"""Planted leaks are named, healthy engines are not: one look at each, by its route."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.looking import PROGRAM, look, sites_of

pytestmark = pytest.mark.integration

NATIVE = "soakd/worker/engines/planted/native.py"


@pytest.mark.parametrize(
    ("what", "caller", "held_by", "bytes_per_operation"),
    [
        ("python_list_leak", "python_list.<locals>.operation", "list `kept` of python_list.<locals>.operation", 92),
        ("lru_cache_leak", "memoized.<locals>.answer", "dict cache of memoized.<locals>.answer", 208),
        ("closure_leak", "", "list `subscribers` of closure.<locals>.operation", 208),
        ("cycle_leak", "cycle.<locals>.operation", None, 196),
        ("pyo3_reference_leak", "pyo3_reference.<locals>.operation", None, 100),
    ],
)
def test_a_leak_of_python_objects_is_named_by_the_line_that_allocates_and_by_who_keeps_it(
    tmp_path: Path, what: str, caller: str, held_by: str | None, bytes_per_operation: float
) -> None:
    pytest.importorskip("soakd._native")
    body = look(what, "python", str(tmp_path / "captures"))
    first = sites_of(body)[0]
    if first["site"] != held_by:  # who keeps it stands alone where two windows differ on the line
        assert "soakd/worker/engines/planted/" in first["site"]
        assert any(caller in frame for frame in first["frames"][:2])
        assert first.get("held_by", [None])[0] == held_by
    assert first["bytes_per_operation"] == pytest.approx(bytes_per_operation, rel=0.05)
    assert list((tmp_path / "captures").iterdir()) == []


def test_a_cycle_that_a_registry_keeps_names_the_registry(tmp_path: Path) -> None:
    sites = sites_of(look("cycle_leak", "python", str(tmp_path / "captures")))
    assert ["list `registry` of cycle.<locals>.operation"] in [site.get("held_by") for site in sites]


@pytest.mark.parametrize("what", ["python_list_twin", "closure_twin", "lru_cache_twin", "gc_sawtooth"])
@pytest.mark.parametrize("route", ["python", "native"])
def test_no_site_is_named_for_what_only_turns_memory_over(tmp_path: Path, what: str, route: str) -> None:
    body = look(what, route, str(tmp_path / "captures"), operations=1500)
    assert body["state"] == "done"
    assert sites_of(body) == []


def test_a_leak_in_rust_is_named_by_file_and_line_and_by_the_python_line_that_called_it(tmp_path: Path) -> None:
    pytest.importorskip("soakd._native")
    pytest.importorskip("memray")
    body = look("rust_box_leak", "native", str(tmp_path / "captures"))
    assert body["state"] == "done", body
    first = sites_of(body)[0]
    assert first["site"].startswith("soakd-py/src/leaks.rs:")
    assert f"called from {NATIVE}:" in first["site"]
    assert first["bytes_per_operation"] == pytest.approx(100, rel=0.02)


@pytest.mark.parametrize(
    ("what", "line", "runs"),
    [
        ("task_leak", "create_task(event.wait())", "task Event.wait"),
        ("thread_leak", "threading.Thread(target=event.wait", "thread Thread-# (wait)"),
    ],
)
def test_a_leak_of_tasks_or_threads_is_named_by_the_line_that_makes_them(
    tmp_path: Path, what: str, line: str, runs: str
) -> None:
    first = sites_of(look(what, "handles", str(tmp_path / "captures"), every=5))[0]
    place, _, function = first["site"].partition(" in ")
    path, _, number = place.partition(":")
    source = (ROOT / path).read_text(encoding="utf-8").splitlines()
    assert line in source[int(number) - 1]
    assert function == f"{what.removesuffix('_leak')}.<locals>.operation"
    assert first["runs"] == [runs]


def test_a_leak_of_descriptors_is_named_by_what_is_open(tmp_path: Path) -> None:
    body = look("fd_leak", "handles", str(tmp_path / "captures"), every=5)
    (site,) = sites_of(body)
    assert site["site"] == "descriptors: /dev/null"
    assert site["things_per_operation"] == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize("what", ["task_twin", "thread_twin", "fd_twin"])
def test_no_site_is_named_for_handles_that_are_closed(tmp_path: Path, what: str) -> None:
    body = look(what, "handles", str(tmp_path / "captures"), every=5)
    assert body["state"] == "done"
    assert sites_of(body) == []


SHOP = """
class Basket:
    def __init__(self):
        self.seen = []

    def operation(self):
        self.seen.append(bytes(200))
"""


def test_a_fingerprint_is_the_same_in_another_run_some_lines_further_down_and_in_another_folder(tmp_path: Path) -> None:
    found = []
    for place, lines in (("here", 0), ("moved/to/another", 7)):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        (folder / "shop.py").write_text("NUMBER = 1\n" * lines + SHOP)
        program = PROGRAM.replace(
            "engine = ", f"sys.path.append({str(folder)!r}); import shop; engine = shop.Basket() #"
        )
        found.append(sites_of(look("shop", "python", str(folder / "captures"), program=program))[0])
    first, second = found
    assert (first["site"], second["site"]) == ("shop.py:7 in Basket.operation", "shop.py:14 in Basket.operation")
    assert first["fingerprint"] == second["fingerprint"]


def failing(what: str, route: str, folder: str, trouble: str) -> Any:
    return look(what, route, folder, program=PROGRAM.replace("bodies = []", f"bodies = []\n{trouble}", 1))


def test_a_window_without_memray_costs_only_itself(tmp_path: Path) -> None:
    body = failing("rust_box_leak", "native", str(tmp_path / "c"), "sys.modules['memray'] = None")
    assert body["state"] == "failed"
    assert "memray" in body["why"]
    assert list((tmp_path / "c").iterdir()) == []


def test_an_engine_that_traces_by_itself_keeps_its_traces(tmp_path: Path) -> None:
    body = failing("python_list_leak", "python", str(tmp_path / "c"), "import tracemalloc; tracemalloc.start()")
    assert body["state"] == "failed"
    assert "the engine uses tracemalloc itself" in body["why"]


def test_a_folder_that_cannot_be_written_is_a_failed_look(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    body = look("python_list_leak", "python", str(tmp_path / "file" / "captures"))
    assert body["state"] == "failed"
    assert "NotADirectoryError" in body["why"]
