"""Files of a run that soakd writes in place: none is reached through a link, and none is truncated.

A run's folder may come from elsewhere. A link in it must not lead what soakd writes into a file that is not its own.
Most files are replaced as a whole (`run_folder.write_atomically`), which replaces a link too.
"""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
"""A pipe or a device in the place of a file keeps nobody waiting."""


def open_own(path: Path, mode: int = 0o640) -> int:
    """Open a file for reading and writing, as it is; make it where it is not there. Returns a descriptor.

    Raises:
        OSError: it is a link, or no regular file, or cannot be opened.
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
    """Return whether there is a regular file without content; a link is none."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == 0


def refuse_links(paths: Iterable[Path]) -> None:
    """Check that nothing will be written through a link.

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
