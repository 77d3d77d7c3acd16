"""The daemon reads itself as its workers do: live bytes in this process, reachable bytes in a forked child.

The only module outside `worker` that imports its probes. They are of the standard library, and the instrument must be
measured as what it measures.
"""

from collections.abc import Callable

from soakd.wire.signal_sums import PYMALLOC_OFF
from soakd.worker.probes import allocator
from soakd.worker.probes.children import Children
from soakd.worker.probes.timing import TieredProbe

POLL_EVERY_S = 0.05


class SelfProbe:
    """What the daemon holds. Called from the main thread; of a fixed size.

    Args:
        collect_every_s: seconds between two forks of the daemon; None for never.
        call_later: of the event loop: (seconds, what to call).
        now_s: CLOCK_MONOTONIC, seconds.
    """

    def __init__(
        self, collect_every_s: float | None, call_later: Callable[[float, Callable[[], None]], object],
        now_s: Callable[[], float],
    ) -> None:  # fmt: skip
        self._probes = (
            TieredProbe("live_python", allocator.python_bytes), TieredProbe("live_native", allocator.native_bytes),
        )  # fmt: skip
        self._children = Children(collect_every_s, None, ())
        self._call_later = call_later
        self._now_s = now_s

    def sample(self) -> dict[str, float]:
        """Return live bytes, and reachable ones if a child has ended since the last time, as of its fork.

        Forks the next child if one is due: a millisecond or two in which the event loop waits.
        """
        values: dict[str, float] = {}
        for probe in self._probes:
            probe.read_into(values, self._now_s())
        if self._probes[0].absent:
            values[PYMALLOC_OFF] = 1.0
        self._children.hand_over(values)
        if self._children.start_if_due(self._now_s()):
            self._poll()
        return {name: value for name, value in values.items() if not name.startswith("probe.")}

    def close(self) -> None:
        """End a child that lives."""
        self._children.close()

    def _poll(self) -> None:
        """Poll the child until it is gone, so that it is no zombie until the next sample."""
        self._children.poll(self._now_s())
        if self._children.alive:
            self._call_later(POLL_EVERY_S, self._poll)
