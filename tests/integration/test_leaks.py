"""Some of the planted leaks of `tests.leaks`, each by the route that its growth asks for."""

import shutil

import pytest

from tests.leaks.__main__ import take
from tests.leaks.cases import rank, true_lines
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


def test_no_line_is_given_for_the_tables_of_full_caches() -> None:
    answer = take(find("replaced_tables")[0])
    assert answer["failures"] == []
    assert answer["sites"] == []


def test_every_leak_of_the_suite_has_a_true_line_or_another_name() -> None:
    cases = [case for group in LEAKS.values() for case in group]
    assert [case.name for case in cases if case.named is None and not true_lines().get(case.name)] == []
    names = [case.name for table in (LEAKS, HEALTHY) for group in table.values() for case in group]
    assert len(names) == len(set(names))
    assert len(cases) >= 20
    assert len(LEAKS["unseen"]) >= 10
    assert sum(map(len, HEALTHY.values())) >= 8
