"""Which deep looks a verdict calls for: by which routes, and whether the growth is steady. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

Verdict = Mapping[str, Any]

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
    engine = next((e for e in verdict.get("engines") or () if e.get("name") == name), None)
    if engine is None or engine.get("role") == "control":
        return
    if any(_failing_growth(engine)):
        yield from ROUTES.get(str(engine.get("class")), ())


def steady_growth(verdict: Verdict, name: str) -> float | None:
    """Return the growth of an engine if it is a leak so far, and steady; else None.

    The interval of a straight line is narrow; that of a warm-up, which bends, is as wide as the growth itself.
    """
    if not any(routes(verdict, name)):
        return None
    engine = next(e for e in verdict["engines"] if e.get("name") == name)
    for check in _failing_growth(engine):
        estimate, low, high = (check.get(part) for part in ("estimate", "low", "high"))
        if estimate is None or low is None or high is None:
            return 0.0  # descriptors, threads and tasks are counted
        if high - low <= STEADY * estimate:
            return float(estimate)
    return None


def _failing_growth(engine: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the checks on growth that an engine has failed, or has so far."""
    for check in engine.get("checks") or ():
        if str(check.get("id")).startswith(GROWTH) and "FAIL" in (check.get("verdict"), check.get("so_far")):
            yield check
