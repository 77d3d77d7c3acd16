"""The terminal output: a live table during the run, a table of checks at its end."""

from soakd.live.terminal.closing import print_closing
from soakd.live.terminal.live import LiveDisplay, print_status

__all__ = ["LiveDisplay", "print_closing", "print_status"]
