"""What a person at a terminal sees: a live table while the run goes on, a table of checks at its end."""

from soakd.display.closing import print_closing
from soakd.display.live import LiveDisplay, print_standing

__all__ = ["LiveDisplay", "print_closing", "print_standing"]
