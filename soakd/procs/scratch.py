"""The temporary folder of a worker, its own: what its engine leaves there can be told, and is removed."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

TEMPORARY = "soakd-tmp-"
JUST_MADE_S = 10.0
MOST_ENTRIES = 5000
"""Of a folder, looked at in one reading: some 25 ms."""
MOST_DEEP = 100
"""Folders in each other that are looked into: each takes a descriptor of soakd's while it is read."""
BLOCK_BYTES = 512


@contextlib.contextmanager
def held_folder(prefix: str) -> Iterator[Path]:
    """Make a temporary folder that no sweep removes while this process lives; remove it afterwards.

    Folders of killed processes are removed too: no process holds them.

    Raises:
        OSError: it cannot be made.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name, held(Path(name)):
            yield Path(name)
    finally:
        sweep(Path(tempfile.gettempdir()), prefix)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path | None]:
    """Make the folder that holds those of the engines; None if that fails: they then share the usual one."""
    with contextlib.ExitStack() as stack:
        folder = None
        with contextlib.suppress(OSError):
            folder = stack.enter_context(held_folder(TEMPORARY))
        yield folder


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock a folder, so that no sweep removes it."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)  # systemd-tmpfiles(8) leaves alone what is locked, however old it is
        yield
    finally:
        os.close(lock)


def sweep(temporary: Path, prefix: str) -> None:
    """Remove the folders of soakds that were killed: they are not locked, and not new."""
    for folder in temporary.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # another user's, or held, or gone meanwhile
            if folder.lstat().st_mtime > time.time() - JUST_MADE_S:
                continue
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(held)


def scratch_of(scratch: Path, number: int) -> Path:
    """Return the folder of the engine with a number, and make it if needed: usable by any user the engine becomes.

    Its name is short: sockets in it have names of at most 107 bytes.
    """
    folder = scratch / str(number)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        scratch.chmod(0o711)
        folder.chmod(0o1777)
    return folder


class FolderSize:
    """The disk that a folder takes, read in pieces, however many files there are; takes memory of a fixed size."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._whole = 0
        """The result of the last complete reading."""
        self._sum = 0
        self._open: list[Iterator[os.DirEntry[str]]] = []

    def read(self) -> int:
        """Look at some more entries; return the bytes of all, as far as they are known."""
        if not self._open:
            self._sum = 0
            self._descend(str(self._folder))
        for _ in range(MOST_ENTRIES):
            if not self._open:
                self._whole = self._sum
                break
            if (entry := _next(self._open[-1])) is None:
                self._open.pop()
            else:
                self._add(entry)
        return max(self._whole, self._sum)

    def _add(self, entry: "os.DirEntry[str]") -> None:
        with contextlib.suppress(OSError):
            self._sum += entry.stat(follow_symlinks=False).st_blocks * BLOCK_BYTES
            if entry.is_dir(follow_symlinks=False):
                self._descend(entry.path)

    def _descend(self, path: str) -> None:
        if len(self._open) < MOST_DEEP:
            with contextlib.suppress(OSError):
                self._open.append(os.scandir(path))


def _next(folder: "Iterator[os.DirEntry[str]]") -> "os.DirEntry[str] | None":
    """Return the next entry of a folder; None after the last, or if the rest cannot be read."""
    with contextlib.suppress(OSError):
        return next(folder, None)
    return None
