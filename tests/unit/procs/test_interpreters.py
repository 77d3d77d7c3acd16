"""Which interpreters will do, and what a worker under one may see."""

import os
from pathlib import Path

import pytest

from soakd.procs.interpreters import import_folder, unfit, worker_environment
from soakd.setup import config

ENGINE = '[run]\nduration = "1h"\n[[engine]]\nname = "a"\nkind = "control.null"\npython = "{python}"\n'


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 14, 2), (4, 0, 0)])
def test_a_regular_cpython_will_do(version: tuple[int, ...]) -> None:
    assert unfit("python", "cpython", version, "") is None
    assert unfit("python", "cpython", version, "d") is None


@pytest.mark.parametrize(
    ("implementation", "version", "abiflags", "why"),
    [
        ("cpython", (3, 10, 19), "", "is CPython 3.10.19; 3.11 or later is needed"),
        ("cpython", (2, 7, 18), "", "is CPython 2.7.18; 3.11 or later is needed"),
        ("pypy", (3, 11, 13), "", "is pypy 3.11.13; CPython 3.11 or later is needed"),
        ("graalpy", (3, 12, 8), "", "is graalpy 3.12.8; CPython 3.11 or later is needed"),
        ("cpython", (3, 14, 0), "t", "is a free-threaded CPython 3.14.0; a regular one is needed"),
        ("cpython", (3, 14, 0), "td", "is a free-threaded CPython 3.14.0; a regular one is needed"),
    ],
)
def test_anything_else_will_not(implementation: str, version: tuple[int, ...], abiflags: str, why: str) -> None:
    assert unfit("/a/python", implementation, version, abiflags) == f"/a/python: {why}"


def test_the_folder_holds_one_link_and_is_gone_afterwards() -> None:
    with import_folder() as folder:
        (link,) = folder.iterdir()
        assert (link / "worker" / "__main__.py").is_file()
        assert link.is_symlink()
    assert not folder.exists()


def test_a_named_interpreter_sees_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, "/ours")
    environment = worker_environment("/other/bin/python", Path("/private"))
    assert environment["PYTHONPATH"] == "/private"
    assert "/ours" not in environment.values()


def test_soakds_own_interpreter_keeps_the_users_path_behind_the_private_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/users")
    assert worker_environment(None, Path("/private"))["PYTHONPATH"] == "/private:/users"
    monkeypatch.delenv("PYTHONPATH")
    assert worker_environment(None, Path("/private"))["PYTHONPATH"] == "/private"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("python3.12", "python3.12"),
        ("/opt/venv/bin/python", "/opt/venv/bin/python"),
        ("venv/bin/python", "{folder}/venv/bin/python"),
    ],
)
def test_a_path_is_taken_from_the_files_folder_and_a_name_from_the_path(
    written: str, read: str, tmp_path: Path
) -> None:
    loaded = config.parse(ENGINE.format(python=written), source="a.toml", folder=tmp_path)
    assert loaded.engines[0].python == read.format(folder=tmp_path)


def test_a_link_into_an_environment_is_not_followed_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to("/usr/bin/python3")
    loaded = config.parse(ENGINE.format(python="./python"), source="a.toml", folder=tmp_path)
    assert loaded.engines[0].python == str(tmp_path / "python")


def test_folders_that_a_killed_soakd_left_are_removed_and_held_or_new_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left, new, other = (tmp_path / name for name in ("soakd-imports-left", "soakd-imports-new", "mine"))
    for folder in (left, new, other):
        folder.mkdir()
    for folder in (left, other):
        os.utime(folder, (1e9, 1e9))
    with import_folder() as held:
        os.utime(held, (1e9, 1e9))
        with import_folder():
            pass
        assert set(tmp_path.iterdir()) == {held, new, other}
