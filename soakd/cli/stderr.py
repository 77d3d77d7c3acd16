"""Errors, warnings and notes on stderr, in the format of argparse's own.

All output to stderr goes through here: messages quote configurations, addresses, servers, files and journals, so
secrets are hidden and control characters made visible.
"""

import argparse
import sys
from typing import NoReturn

from soakd.plaintext import escaped_lines
from soakd.wire.masking import cut

LONGEST_TEXT = 20_000


def complain(of: object) -> None:
    """Write an error, warning or note of one or several lines."""
    write(f"soakd: {of}")


def write(text: str) -> None:
    """Write a text, without secrets and control characters."""
    print(escaped_lines(cut(text.rstrip("\n"), LONGEST_TEXT)), file=sys.stderr)


class Parser(argparse.ArgumentParser):
    """A parser whose errors, which quote the command line, are written the same way."""

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Exit with a status, and a message if there is one."""
        if message:
            write(message)
        raise SystemExit(status)
