"""Reads files that a user names: a configuration, waivers, a policy with its data and inputs; only regular files.

A pipe without a writer would block the command, a device has no end, and a file that is too large would fill the memory
before it is refused.
"""

import errno
import io
import os
import stat
from pathlib import Path

from soakd.units import format_bytes

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""Do not block on a pipe that replaces the file between the check and the opening."""
_OTHER_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_given(path: Path, most_bytes: float) -> None:
    """Check that a file is regular and not too large, without opening it.

    Raises:
        OSError: it does not exist, is not a regular file, or has more than `most_bytes`.
    """
    _check(path, path.stat(), most_bytes)


def read_given(path: Path, most_bytes: int, *, encoding: str = "utf-8", errors: str = "strict") -> str:
    r"""Read a text file that a user names, with line ends as "\n".

    Raises:
        OSError: it cannot be read, is not a regular file, or has more than `most_bytes`.
        UnicodeDecodeError: it is not in that encoding.
    """
    check_given(path, most_bytes)
    with open(os.open(path, _FLAGS), "rb") as file:
        _check(path, os.fstat(file.fileno()), most_bytes)
        content = file.read(most_bytes + 1) or b""
    _check_size(path, len(content), most_bytes)  # below /proc only reading shows the size
    return io.TextIOWrapper(io.BytesIO(content), encoding=encoding, errors=errors).read()


def _check(path: Path, found: os.stat_result, most_bytes: float) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for is_one, name in _OTHER_KINDS if is_one(found.st_mode)), "something else")
        raise OSError(errno.EINVAL, f"{kind}, where a file is needed", str(path))
    _check_size(path, found.st_size, most_bytes)


def _check_size(path: Path, size_bytes: int, most_bytes: float) -> None:
    if size_bytes > most_bytes:
        raise OSError(errno.EFBIG, f"larger than {format_bytes(most_bytes)}", str(path))
