"""Opens the files of a run that are written in place: never through a link, and never truncating.

A run's folder may come from elsewhere. A link in it must not redirect soakd's output to another file. Most files are
replaced as a whole (`run_folder.write_atomically`), which replaces a link too.
"""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
"""A pipe or device instead of a file must not block."""


def open_own(path: Path, mode: int = 0o640) -> int:
    """Open a file for reading and writing without truncating it; create it if missing. Return a descriptor.

    Raises:
        OSError: it is a link, is not a regular file, or cannot be opened.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _FLAGS, mode)
        os.fchmod(fd, mode)  # whatever the umask
    except FileExistsError:
        fd = _open(path, os.O_RDWR)
    return fd


def open_to_read(path: Path, errors: str = "strict") -> TextIO:
    """Open a text file that must not be a link.

    Raises:
        OSError: as for `open_own`.
    """
    return open(_open(path, os.O_RDONLY), encoding="utf-8", errors=errors)


def is_empty_file(path: Path) -> bool:
    """Return whether there is an empty regular file; a link is not one."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == 0


def refuse_links(paths: Iterable[Path]) -> None:
    """Raise if any of the paths is a link.

    Raises:
        OSError: one of the paths is a link.
    """
    for path in paths:
        if path.is_symlink():
            raise _refusal(path)


def _open(path: Path, access: int) -> int:
    try:
        fd = os.open(path, access | _FLAGS)
    except OSError as error:
        raise _refusal(path) if error.errno == errno.ELOOP else error from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, f"{path.name} is not a regular file", str(path))
    return fd


def _refusal(path: Path) -> OSError:
    return OSError(errno.ELOOP, f"{path.name} is a symbolic link, and soakd writes through none", str(path))
