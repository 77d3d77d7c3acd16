"""`control.null`: the harness alone. Growth here is soakd's own, and makes the run INVALID."""

from collections.abc import Mapping

from soakd.wire.spec import Operation


class NullControl:
    """Does nothing."""

    def start(self) -> None:
        """Nothing to start."""

    def operation(self, op: Operation, /) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to close."""

    def counters(self) -> Mapping[str, float]:
        """Nothing to count."""
        return {}
