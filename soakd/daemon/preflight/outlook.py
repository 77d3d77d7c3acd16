"""What a run of this length can show about growth, by the rules of the judge, and what to set where it cannot.

What is promised here the verdict must not take back: every length is counted with the margins that a run may lose.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from soakd.daemon.preflight.filling import cache_filling
from soakd.daemon.preflight.finding import Finding
from soakd.setup.faults import touched
from soakd.setup.plan import LEAST_SAMPLES, EnginePlan, Plan, phases_for_operations, phases_of
from soakd.units import format_count, format_duration, format_rate
from soakd.verdict.resolution import (
    LEAST_HOURS,
    LEAST_OPERATIONS,
    RESOLUTION_BYTES,
    leak_signal,
    too_few,
    too_short,
    unseen,
)

SURE_OF_RATE = 0.98
"""Of the operations that a rate plans, so many are done at least: an engine that does fewer than 99 % fails for it."""
CADENCES_LOST = 2
"""The first reading comes up to one cadence after the load has begun, the last one up to one before its end."""
STEP = 1.1
"""By so much a suggested length grows until it is enough."""
USUAL_PER_OPERATION = 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sure:
    """The least that the readings of one engine will span."""

    seconds: float
    """Without the time of faults on purpose."""
    operations: float
    in_faults: float
    """Share of the load phase."""


def outlook(plan: Plan) -> Iterator[Finding]:
    """Report from when on a leak at the limit becomes visible, and what a run of this length cannot show."""
    yield from _nothing_judged(plan)
    yield from _controls_off(plan)
    yield from _waivers(plan, time.time() + plan.duration_s)
    engines_of: dict[Finding, list[str]] = {}
    for engine in plan.engines:
        for finding in growth_outlook(plan, engine):
            # Of a control only what is wrong is reported: a run whose control cannot be judged passes nothing.
            if engine.config.is_judged or (engine.config.role == "control" and finding.level == "warning"):
                engines_of.setdefault(finding, []).append(engine.config.name)
    for finding, names in engines_of.items():
        yield Finding(finding.level, f"{', '.join(names)}: {finding.text}")


def _nothing_judged(plan: Plan) -> Iterator[Finding]:
    if not any(engine.config.is_judged for engine in plan.engines):
        yield Finding("warning", 'no subject would be judged: INCONCLUSIVE; give an engine role = "subject"')


def _controls_off(plan: Plan) -> Iterator[Finding]:
    for name in plan.config.run.controls_off:
        yield Finding("warning", f"controls_off: without the {name} control nothing shows that soakd works: INVALID")


def _waivers(plan: Plan, ends_s: float) -> Iterator[Finding]:
    """Report waivers: those that lapse before the end, those without an engine in this run, those that hold."""
    last = datetime.fromtimestamp(ends_s, UTC).date().isoformat()
    names = [engine.config.name for engine in plan.engines]
    for waiver in plan.config.waivers:
        if waiver.expires < last:
            text = f"expires on {waiver.expires}, and the run ends on {last}: it will not hold"
            yield Finding("warning", f'waiver "{waiver.name}": {text}')
        elif waiver.engine is not None and waiver.engine not in names:
            yield Finding("note", f'waiver "{waiver.name}": no engine "{waiver.engine}" in this run')
        else:
            yield Finding("note", f'waiver "{waiver.name}": holds until {waiver.expires}: {waiver.reason}')


def growth_outlook(plan: Plan, engine: EnginePlan) -> Iterator[Finding]:
    """Report for each growth limit of an engine whether it can be judged in this length."""
    limits, sure = engine.config.limits, sure_of(plan, engine)
    if (rate := limits.growth_rate_bytes_per_h) is not None:
        yield _hourly(plan, engine, sure, rate)
    if (size := limits.growth_per_operation_bytes) is not None:
        yield _per_operation(plan, engine, sure, size)
    if (filling := cache_filling(engine, sure.operations)) is not None:
        yield filling


def sure_of(plan: Plan, engine: EnginePlan) -> Sure:
    """Return what an engine's readings will span, less what a run may lose: cadences, faults and recoveries, rate."""
    load_s = engine.load.duration_s
    cadence_s = engine.sample_every_s + (engine.collect_every_s or 0.0)
    seen_s = max(0.0, load_s - CADENCES_LOST * cadence_s)
    configs = [one.config for one in plan.engines]
    faults = [fault for fault in plan.faults if engine.config.name in touched(configs, fault.target, fault.on)]
    broken_s = min(load_s, sum(fault.duration_s + engine.config.limits.recovery_s for fault in faults))
    return Sure(
        seconds=max(0.0, seen_s - broken_s), operations=SURE_OF_RATE * seen_s * engine.rate_per_s,
        in_faults=broken_s / load_s,
    )  # fmt: skip


def _hourly(plan: Plan, engine: EnginePlan, sure: Sure, limit: float) -> Finding:
    needed_s = 3600.0 * max(LEAST_HOURS, RESOLUTION_BYTES[leak_signal(engine.collect_every_s)] / limit)
    takes = (
        f"it takes {needed_s / 3600.0:.3g} h of load; the load phase is {format_duration(engine.load.duration_s)}, "
        f"at least {format_duration(sure.seconds)} of it are judged"
    )
    cannot = too_short(limit, sure.seconds / 3600.0) or unseen(sure.in_faults, "of the load phase")
    if not cannot and sure.seconds >= needed_s:
        return Finding("note", f"a leak of {format_rate(limit)} is visible: {takes}")
    advice = [_long_enough(plan, engine, lambda surely: surely.seconds >= needed_s)]
    if engine.config.limits.growth_per_operation_bytes is None:
        advice.append(_per_operation_instead(plan, engine, sure))
    may = "may not" if engine.load.duration_s >= needed_s else "cannot"
    what = f"growth_rate = {format_rate(limit)} {may} pass in this length"
    return Finding("warning", f"{what}: {takes}: {_advice(advice)}")


def _per_operation(plan: Plan, engine: EnginePlan, sure: Sure, limit: float) -> Finding:
    needed = _operations_needed(engine, limit)
    takes = (
        f"it takes {format_count(needed)} operations; at least {format_count(math.floor(sure.operations))} fit into "
        f"{format_duration(engine.load.duration_s)} of load at {engine.rate_per_s:g}/s"
    )
    cannot = too_few(sure.operations) or unseen(sure.in_faults, "of the operations")
    if not cannot and sure.operations >= needed:
        return Finding("note", f"a leak of {limit:g} B per operation is visible: {takes}")
    advice = [_long_enough(plan, engine, lambda surely: surely.operations >= needed)]
    if sure.operations and plan.config.run.operations is None and engine.config.role != "control":
        advice.append(f"set its rate to {math.ceil(engine.rate_per_s * needed / sure.operations)} or more")
    may = "may not" if engine.load.duration_s * engine.rate_per_s >= needed else "cannot"
    what = f"growth_per_operation = {limit:g} B {may} pass in this length"
    return Finding("warning", f"{what}: {takes}: {_advice(advice)}")


def _operations_needed(engine: EnginePlan, limit: float) -> int:
    return math.ceil(max(LEAST_OPERATIONS, RESOLUTION_BYTES[leak_signal(engine.collect_every_s)] / limit))


def _advice(advice: list[str]) -> str:
    return ", or ".join(filter(None, advice)) or "leave more time between the faults"


def _per_operation_instead(plan: Plan, engine: EnginePlan, sure: Sure) -> str:
    """Return which limit per operation to set in place of one per hour, and the length that it needs; "" for none."""
    visible = RESOLUTION_BYTES[leak_signal(engine.collect_every_s)] / max(sure.operations, LEAST_OPERATIONS)
    size = math.ceil(max(visible, USUAL_PER_OPERATION))
    instead = f'limit growth_per_operation = "{size}B" in place of growth_rate'
    needed = _operations_needed(engine, size)
    if sure.operations >= needed and not unseen(sure.in_faults, "of the operations"):
        return instead
    longer = _long_enough(plan, engine, lambda surely: surely.operations >= needed)
    return f"{instead} and {longer}" if longer else ""


def _long_enough(plan: Plan, engine: EnginePlan, enough: Callable[[Sure], bool]) -> str:
    """Return what to set so that a run is long enough for one engine; "" if faults take all the time."""
    run = plan.config.run
    lengths: tuple[float, ...] = (float(run.operations or 0), run.duration_s or 0.0)
    for _ in range(200):
        lengths = lengths[0] * STEP, lengths[1] * STEP
        phases = phases_of(lengths[1]) if run.duration_s else phases_for_operations(int(lengths[0]), engine.rate_per_s)
        longer = _with_load(plan, engine, phases[1].duration_s)
        if enough(sure_of(plan, longer)):
            if run.duration_s:
                return f'set duration = "{_rounded_up(phases[-1].end_s)}" or more'
            return f"set operations = {_two_digits_up(lengths[0]):_} or more"
    return ""


def _with_load(plan: Plan, engine: EnginePlan, load_s: float) -> EnginePlan:
    """Return an engine whose load lasts so long, collected from as seldom as the configuration allows."""
    phases = tuple(
        replace(phase, end_s=phase.start_s + load_s) if phase.name == "load" else phase for phase in engine.phases
    )
    collect_s = engine.collect_every_s and (engine.config.collect_every_s or plan.config.run.collect_every_s)
    return replace(engine, phases=phases, collect_every_s=collect_s and min(collect_s, load_s / LEAST_SAMPLES))


def _rounded_up(seconds: float) -> str:
    """Write a duration as a configuration has it, rounded up to a whole unit that reads well."""
    for unit_s, name, step in ((1.0, "s", 10), (60.0, "min", 1), (3600.0, "h", 1)):
        if seconds <= 120 * unit_s or name == "h":
            return f"{math.ceil(seconds / unit_s / step) * step}{name}"
    raise AssertionError


def _two_digits_up(count: float) -> int:
    """Round a count up to two digits."""
    unit: int = 10 ** max(0, math.floor(math.log10(count)) - 1)
    return math.ceil(count / unit) * unit
