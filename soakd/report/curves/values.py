"""What a report draws, as plain numbers. Times are seconds since the run's origin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CurvePiece:
    """An unbroken stretch of one signal in one life of the process: its range at each of some moments."""

    t_s: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


@dataclass(frozen=True, slots=True)
class Band:
    """One signal over the run, thinned to the columns of a chart: the least and the greatest reading of each."""

    pieces: Sequence[CurvePiece]
    readings: int
    """That were thinned."""

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
    """What the growth method sees in one life of one signal, and the lines that the verdict's numbers make there.

    Every field of bytes has the shape of `t_s`.
    """

    t_s: Sequence[float]
    fitted: Sequence[float]
    """With its transients, without noise."""
    long_run: Sequence[float]
    """From the same start with the verdict's rate."""
    low: Sequence[float]
    high: Sequence[float]
    """And with the ends of its interval."""
    limit: Sequence[float]
    """And with the limit."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the objects of one type held, or how long a container was: at first and at last, medians of snapshots."""

    name: str
    first: float | None
    """None where it was not among the largest then, as is `last`."""
    last: float | None
    first_count: float | None = None
    last_count: float | None = None
    """Objects; None of a container."""

    @property
    def change(self) -> float | None:
        """What came on top; None where one side is not known."""
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
    """Snapshots that gave way or failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCurves:
    """Everything that is drawn of one engine."""

    bands: Mapping[str, Band]
    """By signal; those of its server are called `server.` and so on. What was not recorded is not there."""
    fits: Mapping[str, Sequence[Fit]] = field(default_factory=dict)
    """By signal, one for each life that is long enough."""
    adjusted: Mapping[str, CurvePiece] = field(default_factory=dict)
    """By signal that was judged without the entries of a cache: what they leave of it."""
    levels: Mapping[str, float] = field(default_factory=dict)
    """By signal that has a fit: where it stood when the load began, in bytes."""
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
    """A fault on purpose, from when it began to when it was recovered from."""

    target: str
    touches: tuple[str, ...]
    """The engines that it broke something of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Everything that is drawn of a run."""

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
    """soakd itself, and what its host had left."""
