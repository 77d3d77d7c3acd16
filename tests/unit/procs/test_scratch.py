"""The temporary folders of engines: how large they are, and that none is left behind."""

import errno
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from soakd.procs import scratch
from soakd.procs.interpreters import worker_environment
from soakd.procs.scratch import FolderSize, held_folder, scratch_folder, scratch_of, sweep


def filled(folder: Path, files: int, each: int = 4096) -> int:
    """Fill a folder; return what it takes, as du(1) counts."""
    folder.mkdir(exist_ok=True)
    for number in range(files):
        (folder / str(number)).write_bytes(b"x" * each)
    os.sync()
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def test_a_folder_is_as_large_as_all_that_is_below_it(tmp_path: Path) -> None:
    filled(tmp_path / "a", 3)
    filled(tmp_path / "a" / "b", 5, 100_000)
    whole = sum(path.lstat().st_blocks * 512 for path in tmp_path.rglob("*"))
    assert FolderSize(tmp_path).read() == whole > 500_000


def test_a_folder_of_many_files_is_read_in_pieces_and_what_grows_is_seen_to_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "MOST_ENTRIES", 10)
    size, whole = FolderSize(tmp_path), filled(tmp_path, 35)
    readings = [size.read() for _ in range(9)]
    assert readings[0] < readings[1] < readings[2] < whole
    assert set(readings[3:]) == {whole}, "a whole reading stands until the next one is larger, or whole"
    for path in list(tmp_path.iterdir())[:20]:
        path.unlink()
    assert [size.read() for _ in range(9)][-1] < whole


def test_a_folder_that_is_gone_takes_nothing(tmp_path: Path) -> None:
    assert FolderSize(tmp_path / "gone").read() == 0


def test_a_folder_whose_rest_cannot_be_read_counts_as_far_as_it_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = filled(tmp_path, 2)

    def breaking(path: str) -> Iterator["os.DirEntry[str]"]:
        yield from original(path)
        raise OSError(errno.EIO, "the disk is broken")

    original = os.scandir
    monkeypatch.setattr(os, "scandir", breaking)
    assert FolderSize(tmp_path).read() == whole


def test_folders_far_inside_each_other_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "MOST_DEEP", 3)
    (tmp_path / "a/b/c/d").mkdir(parents=True)
    original, opened = os.scandir, list[str]()

    def scan(path: str) -> Iterator["os.DirEntry[str]"]:
        opened.append(path)
        return original(path)

    monkeypatch.setattr(os, "scandir", scan)
    assert FolderSize(tmp_path).read() > 0
    assert opened == [str(tmp_path / deeper) for deeper in ("", "a", "a/b")]


def test_links_are_not_followed(tmp_path: Path) -> None:
    filled(tmp_path / "outside", 5, 50_000)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path / "outside")
    assert FolderSize(inside).read() < 10_000


def test_a_folder_of_an_engine_may_be_used_by_whoever_the_engine_becomes(tmp_path: Path) -> None:
    folder = scratch_of(tmp_path, 3)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
    assert scratch_of(tmp_path, 3) == folder, "another life of the engine finds what the last one left"


def test_folders_of_who_was_killed_are_removed_and_those_of_who_lives_are_not(tmp_path: Path) -> None:
    long_ago = time.time() - 3600
    killed, lives = tmp_path / "soakd-x-1", tmp_path / "soakd-x-2"
    for folder in (killed, lives):
        filled(folder, 1)
        os.utime(folder, (long_ago, long_ago))
    with scratch.held(lives):
        sweep(tmp_path, "soakd-x-")
    assert [path.name for path in tmp_path.iterdir()] == ["soakd-x-2"]


def test_a_held_folder_is_gone_afterwards_with_all_that_is_in_it() -> None:
    with held_folder("soakd-test-scratch-") as folder:
        filled(folder / "a", 2)
    assert not folder.exists()


def test_a_worker_finds_its_own_temporary_folder(tmp_path: Path) -> None:
    assert worker_environment(None, tmp_path, tmp_path / "0")["TMPDIR"] == str(tmp_path / "0")
    assert worker_environment(None, tmp_path).get("TMPDIR") == os.environ.get("TMPDIR")


def test_where_no_temporary_folder_can_be_made_there_is_none_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with scratch_folder() as folder:
        assert folder is None
