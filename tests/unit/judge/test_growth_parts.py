"""The parts of the growth verdict, each against a slow and obvious way to the same answer."""

import numpy as np
import pytest
from scipy.special import gammaln
from scipy.stats import norm
from scipy.stats import t as student

from soakd.judge.checks.growth_answer import GrowthAnswer
from soakd.judge.growth.blocks import represent, sawtooth_period
from soakd.judge.growth.method import judge_growth
from soakd.judge.growth.mixture import Mixture, shared
from soakd.judge.growth.noise import CORRELATION_TIMES, correlation, whiten
from soakd.judge.growth.regression import EFFECT_SCALE, RATE_SCALE, RESOLUTION, fit, products, sweep
from soakd.judge.growth.series import FloatArray, read_series
from soakd.judge.growth.steps import guard, resumed
from soakd.judge.growth.transients import Models, single_models, transients
from tests.growth_traces import noise

RNG = np.random.default_rng
X = (np.arange(48) + 0.5) / 48
U = np.arange(960) / 959


# series


def test_segments_are_ordered_and_a_record_twice_counts_once() -> None:
    x = np.arange(40.0)
    order = RNG(1).permutation(np.append(np.arange(40), [3, 3, 17]))
    recording = read_series(x[order], (x**2)[order], (x >= 20).astype(np.int64)[order])
    assert recording.usable == 40
    assert [list(s.x) for s in recording.segments] == [list(x[:20]), list(x[20:])]


def test_two_readings_at_one_time_are_two_samples() -> None:
    assert read_series(np.zeros(2), np.array([1.0, 2.0])).usable == 2


# blocks


def test_spikes_are_ignored_by_the_representation() -> None:
    y = np.where(np.arange(960) % 7 == 0, 30.0, 0.0) + RNG(2).normal(0, 0.1, 960)
    blocks = represent(U, y)
    assert blocks is not None
    assert np.ptp(blocks[1]) < 1


def test_a_sawtooth_is_represented_by_its_floor() -> None:
    y = 30.0 * (U / 0.06 % 1.0) + 2 * U
    period, blocks = sawtooth_period(U, y), represent(U, y)
    assert period == pytest.approx(0.06, abs=0.002)
    assert blocks is not None
    assert np.max(np.abs(blocks[1] - 2 * blocks[0])) < 2


def test_noise_is_rarely_a_sawtooth() -> None:
    periods = [sawtooth_period(X, noise(48, RNG(seed), phi=0.8, deviation=1.0)) for seed in range(20)]
    assert periods.count(None) >= 18


# noise


def test_whitening_is_generalised_least_squares() -> None:
    x = np.sort(RNG(4).uniform(size=12))
    rho = correlation(x, 0.2)
    covariance = np.exp(-np.abs(x[:, None] - x) / 0.2)
    series = RNG(5).normal(size=(12, 3))
    white, log_det = whiten(series, rho)
    assert white.T @ white == pytest.approx(series.T @ np.linalg.solve(covariance, series))
    assert log_det == pytest.approx(np.linalg.slogdet(covariance)[1])


# regression


def test_a_sweep_leaves_coefficients_inverse_and_residual() -> None:
    design, data = RNG(6).normal(size=(20, 3)), RNG(7).normal(size=20)
    table = np.column_stack((design, data))
    gram = (table.T @ table)[None]
    log_det = sum(np.log(sweep(gram, i)[0]) for i in range(3))
    coefficients, residual, *_ = np.linalg.lstsq(design, data)
    assert gram[0, :3, 3] == pytest.approx(coefficients)
    assert gram[0, 3, 3] == pytest.approx(residual[0])
    assert gram[0, :3, :3] == pytest.approx(np.linalg.inv(design.T @ design))
    assert log_det == pytest.approx(np.linalg.slogdet(design.T @ design)[1])


def slow_evidence(z: FloatArray, columns: FloatArray, time: float, log_prior: float) -> tuple[float, float, float]:
    """Log evidence, rate and its variance by the formula, with dense matrices."""
    design = np.column_stack((np.ones(X.size), X, columns))
    covariance = np.eye(X.size) if time == 0 else np.exp(-np.abs(X[:, None] - X) / time)
    inner = design.T @ np.linalg.solve(covariance, design)
    b = np.linalg.solve(inner, design.T @ np.linalg.solve(covariance, z))
    left = z - design @ b
    rss = left @ np.linalg.solve(covariance, left) + X.size * RESOLUTION**2
    nu = X.size - design.shape[1]
    scale = max(EFFECT_SCALE, np.ptp(z) / 2)
    evidence = (
        gammaln(nu / 2) - nu / 2 * np.log(np.pi * rss)
        - np.linalg.slogdet(inner)[1] / 2 - np.linalg.slogdet(covariance)[1] / 2 + log_prior
        - np.log(np.pi * RATE_SCALE * (1 + (b[1] / RATE_SCALE) ** 2)) + norm.logpdf(b[2:], 0, scale).sum()
    )  # fmt: skip
    return float(evidence), float(b[1]), float(rss / nu * np.linalg.inv(inner)[1, 1])


@pytest.mark.parametrize("members", [[], [3], [20], [5, 30], [4, 18, 40, 60]])
def test_the_evidence_of_every_noise_level_is_that_of_the_formula(members: list[int]) -> None:
    z = 0.7 * X + 2 * (1 - np.exp(-X / 0.05)) + RNG(8).normal(0, 0.05, 48)
    shapes = transients(X)
    fits = fit(products(X, z, shapes), Models(np.array([members], dtype=np.int64), np.log([0.1])))
    for row, time in enumerate(CORRELATION_TIMES):
        wanted = slow_evidence(z, shapes.columns[:, members], time, np.log(0.1))
        found = (fits.log_evidence[row], fits.rate[row], fits.variance[row])
        assert found == pytest.approx(wanted, rel=1e-6)


def test_shapes_that_cannot_be_told_apart_have_no_evidence() -> None:
    shapes = transients(X)
    twice = Models(np.array([[30, 30]]), np.zeros(1))
    assert np.all(np.isneginf(fit(products(X, X, shapes), twice).log_evidence))


# transients


def test_prior_mass_of_the_single_transients_is_what_their_kinds_have() -> None:
    assert np.exp(single_models(transients(X)).log_prior).sum() == pytest.approx(0.15 + 0.12 + 0.05 + 0.12 + 0.06)


def test_a_fill_needs_three_blocks_after_it_and_a_step_two() -> None:
    shapes = transients(X)
    fills, steps = shapes.columns[:, shapes.of_kind("H")], shapes.columns[:, shapes.of_kind("S")]
    assert np.all(fills[-3:] == 0)
    assert np.all(steps[-2:] == 0)


# steps


@pytest.mark.parametrize(
    ("place", "effect", "rate"),
    [
        ([0.1, 0.2, 0.3], [1, 1, 1], 0.0),  # all early
        ([0.3, 0.5, 0.6], [1, 1, 1], 0.0),  # a long quiet tail
        ([0.2, 0.5, 0.8], [1, 1, 1], 3.0),  # still going on
        ([0.2, 0.5, 0.8], [1, 1, -0.5], 0.0),  # two ups of small sum
        ([0.2, 0.5, 0.8], [-1, -1, -1], -3.0),  # releases that recur
        ([0.2, 0.5, 0.8], [1, -1, -1], 0.0),  # releases after one rise
        ([0.5, np.nan, np.nan], [9, 1, 1], 0.0),  # one step in the middle
        ([0.8, np.nan, np.nan], [9, 1, 1], 9.0),  # one large step late
        ([0.8, np.nan, np.nan], [0.9, 1, 1], 0.0),  # one small step late
    ],
)
def test_steps_are_a_rate_only_while_they_may_go_on(place: list[float], effect: list[float], rate: float) -> None:
    added, variance = guard(np.array([place]), np.array([effect], dtype=np.float64))
    assert added[0] == rate
    assert (variance[0] > 0) == (rate != 0)


# mixture


def mixture(*components: tuple[float, float, float]) -> Mixture:
    mean, scale, freedom = np.array(components).T
    return Mixture(np.full(mean.size, 1 / mean.size), mean, scale, freedom)


def test_the_quantiles_of_one_component_are_students() -> None:
    found = [shared([mixture((2.0, 0.3, 7.0))]).quantile(p) for p in (0.025, 0.5, 0.975)]
    assert found == pytest.approx(list(student.ppf((0.025, 0.5, 0.975), 7, loc=2, scale=0.3)))


def test_a_quantile_of_a_mixture_has_that_probability_below_it() -> None:
    both = mixture((0.0, 0.01, 40.0), (50.0, 3.0, 3.0), (-2.0, 1e-4, 40.0))
    assert [both.cdf(both.quantile(p)) for p in (0.025, 0.5, 0.8)] == pytest.approx([0.025, 0.5, 0.8], abs=1e-6)


@pytest.mark.parametrize("rate", [0.0, 2.0, -1.0, 1e5])
def test_two_segments_that_agree_are_surer_than_one(rate: float) -> None:
    one = mixture((rate, 0.01, 200.0))
    low, middle, high = (shared([one, one]).quantile(p) for p in (0.025, 0.5, 0.975))
    assert middle == pytest.approx(rate, abs=1e-4)
    assert high - low == pytest.approx(2 * 1.96 * 0.01 / np.sqrt(2), rel=0.01)


def test_components_that_are_alike_become_one_and_the_quantiles_stay() -> None:
    rng = RNG(31)
    mean, scale = rng.normal(0.4, 1.0, 8000), np.exp(rng.normal(-2.0, 1.0, 8000))
    weight = rng.exponential(size=8000)
    many = Mixture(weight / weight.sum(), mean, scale, rng.integers(2, 46, 8000).astype(np.float64))
    few = many.condensed()
    assert few.weight.size < many.weight.size
    assert few.weight.sum() == pytest.approx(1.0)
    width = many.quantile(0.975) - many.quantile(0.025)
    for p in (0.001, 0.025, 0.3, 0.5, 0.8, 0.975, 0.999):
        assert few.quantile(p) == pytest.approx(many.quantile(p), abs=1e-3 * width)


def test_a_far_and_narrow_component_is_never_drawn_to_the_others() -> None:
    three = mixture((2.0, 0.5, 9.0), (2.0, 1e-3, 9.0), (-40.0, 0.5, 9.0)).condensed()
    assert sorted(three.mean) == pytest.approx([-40.0, 2.0, 2.0])
    assert sorted(three.scale) == pytest.approx([1e-3, 0.5, 0.5])


def test_densities_are_the_same_however_many_rates_are_asked_for() -> None:
    both, rates = mixture((0.0, 0.1, 5.0), (1.0, 0.3, 40.0)), np.linspace(-3.0, 3.0, 600)
    slow = np.log(sum(student.pdf(rates, nu, m, s) / 2 for m, s, nu in ((0.0, 0.1, 5.0), (1.0, 0.3, 40.0))))
    assert both.log_density(rates) == pytest.approx(slow)
    assert both.log_density(rates[:1]) == pytest.approx(slow[:1])


# readings of ramps and falls


def test_growth_that_paused_and_went_on_late_has_a_second_reading() -> None:
    none, end = np.full((1, 2), np.nan), np.array([[0.5, 0.75]])
    # flat until 0.5, then 24 up to 0.75, then flat: 24 over the half since it set in
    assert resumed(none, end, np.array([[-48.0, 72.0]])) == pytest.approx([48.0])


def test_fills_that_begin_with_the_process_end_early_or_follow_a_fall_have_no_second_reading() -> None:
    none = np.full((1, 3), np.nan)
    assert resumed(none, np.array([[0.3, 0.8, np.nan]]), np.array([[20.0, 30.0, 5.0]])) == [0.0]
    assert resumed(none, np.array([[0.3, 0.5, np.nan]]), np.array([[-20.0, 40.0, 5.0]])) == [0.0]
    fall = np.array([[np.nan, np.nan, 0.4]])
    assert resumed(fall, np.array([[0.5, 0.75, np.nan]]), np.array([[-48.0, 72.0, -9.0]])) == [0.0]


def test_growth_below_what_a_signal_resolves_is_told_in_its_unit() -> None:
    growth = judge_growth(np.linspace(0, 0.03, 60), 5e7 + 1e6 * np.linspace(0, 1, 60), limit=1e6)
    answer = GrowthAnswer(growth=growth, limit=1e6, unit="bytes/hour", span=0.03, resolution=4e6)
    assert answer.state() == (
        "INCONCLUSIVE",
        "grew by 1 MB, less than the 4 MB that this signal resolves: soak longer",
    )
