"""The shapes that end, and how probable each is beforehand.

A series is a level, a long-run rate, and up to two of these (or more, where a bursty series asks for them):

* E  warm-up           1 - exp(-x / tau)
* H  fill              min(x, c) / c: a ramp, then flat
* L  settling          log(1 + x / f)
* S  step              0, then 1
* R  recovery          a fall, or a burst, of which 1/e is left after tau: malloc_trim, memory that the kernel took back
* W  wave              sin and cos of one turn over the segment, always together
* D  day               sin and cos of 24 h, and of 12 h too: a load that follows the day, from 20 h on

Shapes that end are written to end at zero (the level takes up the difference), so that two of them that differ
little do not drown in rounding.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from soakd.judge.growth.series import FloatArray, IntArray

WARM_UPS = np.geomspace(0.004, 0.33, 12)
FILLS = np.arange(0.06, 0.951, 1.0 / 24.0)
SETTLINGS = np.array((0.002, 0.008, 0.025))
RECOVERIES = np.array((0.02, 0.04, 0.08))
"""Short, so that growth from one release to the next, hours long, is not taken for a recovery."""
RECOVERED = 2.0
"""Time constants that must have been seen after a fall."""
AFTER_FILL, AFTER_STEP = 3, 2
"""Blocks that must have been seen after the end of a fill, and after a step."""
VISIBLE = 0.02
"""A warm-up or fill of which less than this part is left at the first block cannot be seen in the blocks."""
LATE_FILL, LATE_FILL_WEIGHT = 0.86, 0.35
"""A fill that ends this late is hardly told from a leak, and weighs less."""

LINE_MASS = 0.25
SINGLE_MASS = {"E": 0.15, "H": 0.12, "L": 0.05, "S": 0.12, "R": 0.06}
WAVE_MASS = 0.02
PAIR_MASS = (
    ("E", "H", 0.06), ("E", "S", 0.08), ("H", "S", 0.05), ("H", "H", 0.05),
    ("S", "S", 0.06), ("L", "S", 0.01), ("E", "L", 0.01), ("H", "L", 0.01),
)  # fmt: skip
WAVE_PAIR_MASS = {"E": 0.01, "S": 0.01}
DAY_MASS, DAY_PAIR_MASS = 0.05, 0.05
"""Prior probability of each structure, spread over its members."""
ADDITION = 0.35
"""Prior factor of each transient beyond a pair, times its share among the single ones."""
LEAST_DAY = 20.0 / 24.0
"""Days that must have been seen: of less, a slow warm-up cannot be told from a piece of a day."""
HARMONICS = (1, 2)
"""Turns a day. A third gains nothing; a load that is switched on and off is steps."""


@dataclass(frozen=True, slots=True)
class Transients:
    """Every candidate shape at the blocks of one segment."""

    columns: FloatArray
    """Shape (blocks, shapes), dimensionless."""
    kind: tuple[str, ...]
    """One letter per shape."""
    share: FloatArray
    """Shape (shapes,): the part that a shape has of the prior mass of its kind."""
    place: FloatArray
    """Shape (shapes,): where a step is, as a share of the segment; NaN for everything else."""
    end: FloatArray
    """Shape (shapes,): where a fill ends; NaN for everything else."""
    slope: FloatArray
    """Shape (shapes,): at the end of the segment, of a settling, which never ends; 0 for everything else."""

    def of_kind(self, kind: str) -> IntArray:
        """The shapes of one kind."""
        return np.array([i for i, k in enumerate(self.kind) if k == kind], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Models:
    """Models with the same number of transients."""

    members: IntArray
    """Shape (models, transients): columns of the shapes."""
    log_prior: FloatArray
    """Shape (models,)."""


def transients(x: FloatArray, days: float = 0.0) -> Transients:
    """All shapes for blocks at x, shape (blocks,), in shares of the segment, which lasts so many days."""
    warm_ups = WARM_UPS[np.exp(-x[0] / WARM_UPS) >= VISIBLE]
    fills = FILLS[(x[-AFTER_FILL] > FILLS) & (1.0 - x[0] / FILLS >= VISIBLE)]
    steps = (x[:-AFTER_STEP] + x[1 : 1 - AFTER_STEP]) / 2.0
    recoveries = _recoveries(x, steps)
    groups = (
        ("W", _turns(x), np.ones(2)),
        ("D", _day(x, days), np.ones(len(HARMONICS) * 2 if days >= LEAST_DAY else 0)),
        ("E", -np.exp(-x[:, None] / warm_ups), np.ones(warm_ups.size)),
        ("H", -np.maximum(1.0 - x[:, None] / fills, 0.0), np.where(fills > LATE_FILL, LATE_FILL_WEIGHT, 1.0)),
        ("L", np.log1p(x[:, None] / SETTLINGS), np.ones(SETTLINGS.size)),
        ("R", recoveries, np.ones(recoveries.shape[1])),
        ("S", -(x[:, None] < steps).astype(np.float64), np.ones(steps.size)),
    )
    columns = np.hstack([shape for _, shape, _ in groups])
    ends, slopes = {"H": fills}, {"L": 1.0 / (1.0 + SETTLINGS)}
    return Transients(
        columns=columns,
        kind=tuple(kind for kind, _, weight in groups for _ in weight),
        share=np.concatenate([weight / max(weight.sum(), 1.0) for _, _, weight in groups]),
        place=np.concatenate((np.full(columns.shape[1] - steps.size, np.nan), steps)),
        end=np.concatenate([ends.get(kind, np.full(weight.size, np.nan)) for kind, _, weight in groups]),
        slope=np.concatenate([slopes.get(kind, np.zeros(weight.size)) for kind, _, weight in groups]),
    )


def _turns(x: FloatArray) -> FloatArray:
    """Sine and cosine of one turn a unit of x."""
    turn = 2.0 * np.pi * x[:, None]
    return np.hstack((np.sin(turn), np.cos(turn)))


def _day(x: FloatArray, days: float) -> FloatArray:
    """Every harmonic of a day; no column where the segment is shorter than nearly one."""
    return np.hstack([_turns(turns * days * x) for turns in HARMONICS if days >= LEAST_DAY] or [np.empty((x.size, 0))])


def _recoveries(x: FloatArray, places: FloatArray) -> FloatArray:
    """A fall at each place that is regained with each time constant, where enough of it was seen."""
    seen = [(place, tau) for tau in RECOVERIES for place in places if place + RECOVERED * tau <= 1.0]
    place, tau = np.array(seen).reshape(-1, 2).T
    since = x[:, None] - place
    return np.where(since > 0.0, -np.exp(-np.maximum(since, 0.0) / tau), 0.0)


def line_model() -> Models:
    """No transient: the straight line."""
    return Models(np.empty((1, 0), dtype=np.int64), np.log([LINE_MASS]))


def single_models(shapes: Transients) -> Models:
    """Every single transient but the waves."""
    members = np.flatnonzero(~np.isin(shapes.kind, ("W", "D")))
    mass = np.array([SINGLE_MASS[shapes.kind[i]] for i in members])
    return Models(members[:, None], np.log(mass * shapes.share[members]))


def pair_models(shapes: Transients, steps: IntArray) -> Models:
    """Two transients; only of the given steps, for there would be too many."""
    chosen = {kind: shapes.of_kind(kind) for kind in "EHL"} | {"S": steps}
    parts = [_pairs(shapes, mass, chosen[a], chosen[b]) for a, b, mass in PAIR_MASS]
    return Models(np.vstack([p.members for p in parts]), np.concatenate([p.log_prior for p in parts]))


def wave_models(shapes: Transients) -> Iterator[Models]:
    """The wave alone, and with one other transient."""
    wave = shapes.of_kind("W")
    yield Models(wave[None, :], np.log([WAVE_MASS]))
    for kind, mass in WAVE_PAIR_MASS.items():
        others = shapes.of_kind(kind)
        members = np.column_stack((np.tile(wave, (others.size, 1)), others))
        yield Models(members, np.log(mass * shapes.share[others]))


def day_models(shapes: Transients) -> Iterator[Models]:
    """The day, in one and two harmonics: alone, and with one other transient; nothing where there is no day."""
    columns, singles = shapes.of_kind("D"), single_models(shapes)
    for size in range(2, columns.size + 1, 2):
        day = columns[:size]
        yield Models(day[None, :], np.log([DAY_MASS / len(HARMONICS)]))
        members = np.hstack((np.tile(day, (singles.members.size, 1)), singles.members))
        prior = singles.log_prior - np.log(sum(SINGLE_MASS.values()))
        yield Models(members, prior + np.log(DAY_PAIR_MASS / len(HARMONICS)))


def one_more(shapes: Transients, members: IntArray, log_prior: float) -> Models:
    """Every model with one transient more than `members`, shape (transients,)."""
    singles = single_models(shapes)
    new = ~np.isin(singles.members[:, 0], members)
    added = singles.members[new]
    factor = ADDITION / sum(SINGLE_MASS.values())
    return Models(
        np.hstack((np.tile(members, (len(added), 1)), added)),
        log_prior + np.log(factor) + singles.log_prior[new],
    )


def _pairs(shapes: Transients, mass: float, first: IntArray, second: IntArray) -> Models:
    """Every pair once; a pair of one kind has both orders' share."""
    a, b = (grid.ravel() for grid in np.meshgrid(first, second, indexing="ij"))
    same_kind = np.array_equal(first, second)
    keep = a < b if same_kind else np.ones(a.shape, dtype=bool)
    prior = (2.0 if same_kind else 1.0) * mass * shapes.share[a] * shapes.share[b]
    return Models(np.column_stack((a, b))[keep], np.log(prior[keep]))
