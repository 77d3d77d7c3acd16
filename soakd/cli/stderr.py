"""What commands say on stderr, beside the shape of argparse's own: errors, warnings and notes.

The only way there: what is said quotes configurations, addresses, servers, files and journals, so that secrets are
hidden and control characters made visible in all of it.
"""

import argparse
import sys
from typing import NoReturn

from soakd.plaintext import escaped_lines
from soakd.wire.masking import cut

LONGEST_TEXT = 20_000


def complain(of: object) -> None:
    """Say what went wrong, or is worth a note; its lines stay lines."""
    write(f"soakd: {of}")


def write(text: str) -> None:
    """Write a text without secrets and control characters."""
    print(escaped_lines(cut(text.rstrip("\n"), LONGEST_TEXT)), file=sys.stderr)


class Parser(argparse.ArgumentParser):
    """A parser whose errors, which quote the command line, go the same way."""

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End with a status, and with a message where there is one."""
        if message:
            write(message)
        raise SystemExit(status)
