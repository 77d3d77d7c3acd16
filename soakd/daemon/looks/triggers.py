"""Which deep looks a verdict calls for: by which routes, and whether the growth is steady. Pure."""

from collections.abc import Iterator, Mapping

from soakd.verdict.check import Check
from soakd.verdict.types import EngineVerdict, Verdict

ROUTES: Mapping[str, tuple[str, ...]] = {
    "python_leak": ("python",), "native_leak": ("native",), "mixed_leak": ("native", "python"),
    "backlog": ("python",), "private_allocator": ("native",),
    "fd_leak": ("handles",), "thread_leak": ("handles",), "task_leak": ("handles",),
}  # fmt: skip
"""Class of growth -> routes. A class that is absent is no leak of the process, or not known well enough."""
GROWTH = ("growth.", "total_growth.")
STEADY = 0.25
"""Growth is steady if its interval is no wider than this share of it."""


def routes(verdict: Verdict, name: str) -> Iterator[str]:
    """Yield the routes that fit what grows in an engine; none if nothing grows, and none for a control."""
    engine = verdict.engine(name)
    if engine is not None and engine.role != "control" and any(_failing_growth(engine)):
        yield from ROUTES.get(engine.growth_class, ())


def steady_growth(verdict: Verdict, name: str) -> float | None:
    """Return the growth of an engine if it is a leak so far, and steady; else None.

    The interval of a straight line is narrow; that of a warm-up, which bends, is as wide as the growth itself.
    """
    engine = verdict.engine(name)
    if engine is None or not any(routes(verdict, name)):
        return None
    for check in _failing_growth(engine):
        if check.estimate is None or check.low is None or check.high is None:
            return 0.0  # descriptors, threads and tasks are counted
        if check.high - check.low <= STEADY * check.estimate:
            return check.estimate
    return None


def _failing_growth(engine: EngineVerdict) -> Iterator[Check]:
    """Yield the checks on growth that an engine has failed, or has so far."""
    return (check for check in engine.checks if check.id.startswith(GROWTH) and check.is_failing)
