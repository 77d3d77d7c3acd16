"""The checks that decide the verdict of a run, and the verdict if there are none."""

from collections.abc import Mapping, Sequence

from soakd.judge.story.rundata import EngineData, RunData
from soakd.verdict.check import Check


def judged_engines(run: RunData) -> list[EngineData]:
    """Return the engines with checks that decide the verdict."""
    return [engine for engine in run.engines if engine.plan.config.is_judged]


def deciding_checks(data: EngineData, checks: Mapping[str, Sequence[Check]]) -> list[Check]:
    """Return the checks of one engine that decide the verdict of the run."""
    role = data.plan.config.role
    return [check for check in checks[data.name] if check.decides_for(role)]


def check_judged(run: RunData) -> list[Check]:
    """Return a check that fails a run in which nothing is judged; nothing otherwise."""
    if judged_engines(run):
        return []
    roles = dict.fromkeys(engine.plan.config.role for engine in run.engines if engine.plan.config.role != "control")
    only = f"only {' and '.join(f'{role}s' for role in roles)} and controls ran" if roles else "only controls ran"
    return [
        Check(
            id="evidence.subject", verdict="INCONCLUSIVE", estimate=0.0, limit=1.0, unit="count",
            reason=f'no subject was judged, {only}: give an engine role = "subject"',
        )
    ]  # fmt: skip
