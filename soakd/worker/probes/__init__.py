"""Readers of the judged process: allocator, interpreter, /proc, and two forked children. Standard library only."""

from soakd.worker.probes.probeset import ProbeSet

__all__ = ["ProbeSet"]
