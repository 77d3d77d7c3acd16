"""The curves of a report as plain numbers. Times are seconds since the run's origin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CurvePiece:
    """An unbroken part of one signal in one life of the process: its range at some moments."""

    t_s: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True, slots=True)
class Band:
    """One signal over the run, thinned to the columns of a chart: the least and the greatest reading of each."""

    pieces: Sequence[CurvePiece]
    readings: int
    """Number of readings before thinning."""

    @property
    def low(self) -> float:
        """The least reading of all."""
        return min(min(piece.low) for piece in self.pieces)

    @property
    def high(self) -> float:
        """The greatest."""
        return max(max(piece.high) for piece in self.pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The fitted curve of one signal in one life, and the lines of the verdict's numbers.

    Every field of bytes has the shape of `t_s`.
    """

    t_s: Sequence[float]
    fitted: Sequence[float]
    """The curve with its transients, without noise."""
    long_run: Sequence[float]
    """The line with the verdict's rate."""
    low: Sequence[float]
    high: Sequence[float]
    """The lines with the ends of its interval."""
    limit: Sequence[float]
    """The line with the limit."""


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes of one type, or length of one container: at first and at last, medians of snapshots."""

    name: str
    first: float | None
    """None, as `last`, where it was not among the largest."""
    last: float | None
    first_count: float | None = None
    last_count: float | None = None
    """Objects; None of a container."""

    @property
    def change(self) -> float | None:
        """The difference; None where one side is not known."""
        return None if self.first is None or self.last is None else self.last - self.first


@dataclass(frozen=True, slots=True, kw_only=True)
class HeapComparison:
    """Heap snapshots of the beginning of the load phase against those of its end, in the last life of the process."""

    window_s: float
    first: int
    last: int
    """How many snapshots each side is the median of."""
    from_s: float
    until_s: float
    method: str
    types: Sequence[Held]
    """Bytes of objects by their type, the greatest change first."""
    containers: Sequence[Held]
    """Lengths of containers."""
    failed: int
    """Snapshots that failed or were skipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCurves:
    """Everything that is drawn of one engine."""

    bands: Mapping[str, Band]
    """By signal; those of its server begin with `server.`. A signal that was not recorded is absent."""
    fits: Mapping[str, Sequence[Fit]] = field(default_factory=dict)
    """By signal, one for each life that is long enough."""
    adjusted: Mapping[str, CurvePiece] = field(default_factory=dict)
    """The signals without the bytes of cache entries, where they were judged so."""
    levels: Mapping[str, float] = field(default_factory=dict)
    """Signal with a fit -> its level at the start of the load, in bytes."""
    heap: HeapComparison | None = None
    snapshots_failed: int = 0


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the run with a name."""

    name: str
    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class FaultSpan(Span):
    """An injected fault, from its begin to the recovery."""

    target: str
    touches: tuple[str, ...]
    """The engines that it affected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """The curves of a run."""

    until_s: float
    """Where the time axis ends."""
    start_wall_s: float | None = None
    """When the run began; None where it never did."""
    phases: Mapping[str, Sequence[Span]] = field(default_factory=dict)
    """By engine, as planned."""
    lives: Mapping[str, Sequence[Span]] = field(default_factory=dict)
    """By engine: how each life of its process ended, and when."""
    faults: Sequence[FaultSpan] = ()
    engines: Mapping[str, EngineCurves] = field(default_factory=dict)
    own: EngineCurves | None = None
    """soakd itself, and the free memory of its host."""
