"""Some of the planted leaks of `tests.leaks`, each by the route that its growth asks for."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.leaks.__main__ import TRIAL, take
from tests.leaks.cases import ROOT, rank, true_lines
from tests.leaks.suite import HEALTHY, LEAKS, find

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("name", "tool"),
    [
        ("ctypes_malloc", "ctypes"), ("ctypes_mmap", "ctypes"), ("c_malloc", "memray"), ("rust_static", "memray"),
    ],
)  # fmt: skip
def test_the_true_line_comes_first(name: str, tool: str) -> None:
    pytest.importorskip("memray")
    compiler = {"c_malloc": "cc", "rust_static": "rustc"}.get(name)
    if compiler is not None and shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not on this host's path")
    case, _ = find(name)
    answer = take(case)
    assert answer["failures"] == []
    assert rank(case, answer["sites"], containers=False) == 1, answer["sites"]
    assert answer["sites"][0]["tool"] == tool


def test_no_line_is_given_for_blocks_that_ctypes_frees_again() -> None:
    answer = take(find("malloc_twin")[0])
    assert answer["failures"] == []
    assert answer["sites"] == []


PHASES = """
async def main():
    trial = Trial("soakd.worker.engines.planted:lru_cache_twin", {})
    await trial.operate(2000)
    sites = []
    for _ in range(5):
        await trial.operate(350)
        with tempfile.TemporaryDirectory() as folder:
            body = await trial.look("python", 500, f"{folder}/captures")
        assert body["state"] == "done", body
        sites += [site["site"] for site in body["sites"]]
    print(json.dumps(sites))

asyncio.run(main())
"""
"""Comes behind the text of a trial, which is nobody's application where it has no file."""


def test_no_line_is_given_where_a_full_cache_replaces_its_table_whenever_that_is() -> None:
    """It does so every two thousand operations or so: in the first window, in the second, in both or in none."""
    trial, _, _ = TRIAL.read_text(encoding="utf-8").partition("async def main(")
    command = [sys.executable, "-c", trial + PHASES]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_every_leak_of_the_suite_has_a_true_line_or_another_name() -> None:
    cases = [case for group in LEAKS.values() for case in group]
    assert [case.name for case in cases if case.named is None and not true_lines().get(case.name)] == []
    names = [case.name for table in (LEAKS, HEALTHY) for group in table.values() for case in group]
    assert len(names) == len(set(names))
    assert len(cases) >= 20
    assert len(LEAKS["unseen"]) >= 10
    assert sum(map(len, HEALTHY.values())) >= 8
