"""Known leaks: the failing growth checks that a run's waivers cover, and the state of every waiver.

A covered check keeps its FAIL and its numbers, and does not decide. It is covered only if all of its growth, up to the
upper end of its interval, is within the waivers' bounds. Missing evidence is never waived: a fingerprint needs a named
site, a range of versions a recorded environment.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import NamedTuple

import numpy as np
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from soakd.judge.checks.service_levels import level_difference
from soakd.judge.conclude.sites import attribution
from soakd.judge.story.rundata import EngineData, RunData, Series, running_total
from soakd.setup.settings import Waiver
from soakd.setup.waivers import WAIVABLE
from soakd.verdict.check import Check, round_number
from soakd.verdict.resolution import HOST_SIGNALS
from soakd.verdict.types import WaivedCheck, WaiverFate
from soakd.verdict.wording import quantity_words
from soakd.wire.sites import Site

Checks = dict[str, list[Check]]


@dataclass(slots=True)
class Fate:
    """The state of one waiver."""

    waiver: Waiver
    covers: list[WaivedCheck] = field(default_factory=list)
    beyond: list[WaivedCheck] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    """Why it did not apply where it would have been useful."""

    def entry(self, expired: bool) -> WaiverFate:
        """Return its entry in the verdict file."""
        waiver = self.waiver
        state = "expired" if expired else "exceeded" if self.beyond else "used" if self.covers else "unused"
        return WaiverFate(
            name=waiver.name, state=state, reason=waiver.reason, expires=waiver.expires,
            fingerprint=waiver.fingerprint, engine=waiver.engine, checks=tuple(waiver.checks), package=waiver.package,
            versions=waiver.versions, at_most=waiver.at_most, at_most_unit=waiver.at_most_unit,
            covers=tuple(self.covers), beyond=tuple(self.beyond),
            why="; ".join(dict.fromkeys(self.reasons)) or None,
        )  # fmt: skip


class Waived(NamedTuple):
    """The checks after waivers, and the states of the waivers."""

    checks: Checks
    fates: list[WaiverFate]
    """The states for the verdict file, in the order of the waivers."""
    known: Mapping[tuple[str, str], str]
    """(engine, fingerprint) -> the waiver that covers it."""


def apply_waivers(run: RunData, checks: Mapping[str, Sequence[Check]]) -> Waived:
    """Mark checks that waivers cover, so that they do not decide.

    Args:
        run: what was recorded, with its plan's waivers.
        checks: of every engine, by its name.
    """
    fates = [Fate(waiver) for waiver in run.plan.config.waivers]
    day = _last_day(run)
    applied: Checks = {}
    known: dict[tuple[str, str], str] = {}
    for data in run.engines:
        own = list(checks[data.name])
        if fates and data.plan.config.role != "control":
            sites = attribution(data, own)
            fit = [fate for fate in fates if _fits(fate, data, sites)]
            holding = [fate for fate in fit if _holds(fate, run, data, day)]
            for fate in holding:
                if fate.waiver.fingerprint is not None:
                    known[data.name, fate.waiver.fingerprint] = fate.waiver.name
            own = [_judge(check, data, sites, fit, holding) for check in own]
        applied[data.name] = own
    for fate in fates:
        _say_why_unused(fate, run)
    expired = [day is None or date.fromisoformat(fate.waiver.expires) < day for fate in fates]
    return Waived(applied, [fate.entry(over) for fate, over in zip(fates, expired, strict=True)], known)


def waived_words(fates: Sequence[WaiverFate]) -> str:
    """Describe what is waived, for the summary of a verdict; "" if nothing is."""
    told = []
    for fate in fates:
        if fate.covers:
            engines = ", ".join(dict.fromkeys(each.engine for each in fate.covers))
            checks = ", ".join(dict.fromkeys(each.check for each in fate.covers))
            told.append(f"{engines}: {checks} ({fate.reason}, until {fate.expires})")
    return "; ".join(told)


def hidden_words(data: EngineData, checks: Sequence[Check]) -> Iterator[str]:
    """Describe what a waiver may hide: other growth that stays below its bound together with the known leak."""
    for check in checks:
        if check.waived and check.id.startswith("growth."):
            up_to = quantity_words(check.waived_up_to or 0.0, check.unit)
            yield (
                f"{data.name}: {check.id} is waived up to {up_to}: "
                "another leak that keeps below that together with the known one would not have been seen"
            )


def _last_day(run: RunData) -> date | None:
    """Return the day on which the run ended or last recorded something; the judge's own clock does not matter."""
    wall_s = run.end.at.wall_s if run.end is not None else run.last_wall_s
    return None if wall_s is None else datetime.fromtimestamp(wall_s, UTC).date()


def _fits(fate: Fate, data: EngineData, sites: Sequence[Site]) -> bool:
    waiver = fate.waiver
    if waiver.engine not in (None, data.name):
        return False
    return waiver.fingerprint is None or any(site.fingerprint == waiver.fingerprint for site in sites)


def _holds(fate: Fate, run: RunData, data: EngineData, day: date | None) -> bool:
    waiver = fate.waiver
    if day is None or date.fromisoformat(waiver.expires) < day:
        fate.reasons.append(f"it expired on {waiver.expires}")
        return False
    if waiver.package is None or waiver.versions is None:
        return True
    found = [_version(environment, waiver.package) for environment in run.packages.get(data.name, ())]
    if not found:
        fate.reasons.append(f"the packages of {data.name} were not recorded")
        return False
    for version in found:
        if version is None:
            fate.reasons.append(f"no {waiver.package} was found in the environment of {data.name}")
        elif not _is_in(version, waiver.versions):
            fate.reasons.append(f"{data.name} has {waiver.package} {version}, it holds for {waiver.versions}")
        else:
            continue
        return False
    return True


def _version(environment: Mapping[str, str], package: str) -> str | None:
    wanted = canonicalize_name(package)
    return next((version for name, version in environment.items() if canonicalize_name(name) == wanted), None)


def _is_in(version: str, versions: str) -> bool:
    try:
        return SpecifierSet(versions).contains(version, prereleases=True)
    except InvalidVersion:
        return False


def _judge(
    check: Check, data: EngineData, sites: Sequence[Site], fit: Sequence[Fate], holding: Sequence[Fate]
) -> Check:  # fmt: skip
    if check.informational or not check.is_failing or not check.id.startswith(WAIVABLE):
        return check
    mine = [fate for fate in holding if _is_about(fate.waiver, check)]
    if not mine:
        lapsed = [fate for fate in fit if fate not in holding and _is_about(fate.waiver, check)]
        told = "; ".join(f"waiver {fate.waiver.name}: {fate.reasons[-1]}" for fate in lapsed)
        return _with_reason(check, told)
    up_to, why = _listed(check, data, sites, [fate.waiver for fate in mine])
    if why is not None:
        for fate in mine:
            fate.beyond.append(WaivedCheck(engine=data.name, check=check.id, why=why))
        return _with_reason(check, f"not waived: {why}")
    for fate in mine:
        fate.covers.append(WaivedCheck(engine=data.name, check=check.id))
    told = "; ".join(f"waived until {f.waiver.expires}: {f.waiver.reason} ({f.waiver.name})" for f in mine)
    return dataclasses.replace(
        _with_reason(check, told), informational=True, waived=tuple(fate.waiver.name for fate in mine),
        waived_up_to=round_number(up_to),
    )  # fmt: skip


def _is_about(waiver: Waiver, check: Check) -> bool:
    """Return whether a waiver for the engine covers one of its checks; a fingerprint covers all of its leak's."""
    if waiver.fingerprint is not None:
        return ".server_" not in check.id
    names = {check.id, check.id.removesuffix(".per_operation")}
    # waivers for the host check of older versions hold for the one that replaced it, up to the growth that they list
    names |= {name.replace(*HOST_SIGNALS) for name in names}
    return not names.isdisjoint(waiver.checks)


def _with_reason(check: Check, told: str) -> Check:
    return dataclasses.replace(check, reason="; ".join(filter(None, (check.reason, told)))) if told else check


def _listed(
    check: Check, data: EngineData, sites: Sequence[Site], waivers: Sequence[Waiver]
) -> tuple[float, str | None]:  # fmt: skip
    """Return the growth that some waivers cover, in the unit of a check, and why that is too little, or None."""
    top = check.high if check.high is not None else check.estimate
    if top is None:
        return 0.0, "its growth was not measured"
    bounded = [waiver for waiver in waivers if waiver.at_most is not None]
    named = {waiver.fingerprint for waiver in waivers if waiver not in bounded}
    parts = [_in_unit_of(check, data, float(w.at_most or 0.0), str(w.at_most_unit)) for w in bounded]
    if named:
        parts.append(_in_unit_of(check, data, _measured(sites, named), "bytes/operation"))
    if None in parts:
        return 0.0, f"at_most is not in a unit of {check.unit}" if bounded else "at_most must say how many are known"
    beside = (check.limit or 0.0) if named or (check.unit == "bytes" and _rates(bounded)) else 0.0
    up_to = sum(part for part in parts if part is not None) + beside
    if all(waiver.fingerprint is not None for waiver in waivers):
        others = _others(check, data, sites, {waiver.fingerprint for waiver in waivers})
        if others is not None:
            return up_to, others
    if top > up_to:
        words = quantity_words(top, check.unit), quantity_words(up_to, check.unit)
        return up_to, f"it may be {words[0]}, {words[1]} are listed{_advice(named)}"
    return up_to, None


def _advice(named: set[str | None]) -> str:
    return " (measured at the site, and the limit for the rest; at_most lists more)" if named else ""


def _rates(waivers: Sequence[Waiver]) -> bool:
    return any(waiver.at_most_unit in ("bytes/hour", "bytes/operation") for waiver in waivers)


def _measured(sites: Sequence[Site], prints: set[str | None]) -> float:
    """Add up the growth measured at some sites; containers count only if no allocating line is among them."""
    mine = [site for site in sites if site.fingerprint in prints]
    lines = [site.bytes_per_operation or 0.0 for site in mine if not site.is_container]
    held = [site.bytes_per_operation or 0.0 for site in mine if site.is_container]
    return sum(lines) if lines else max(held, default=0.0)


def _others(
    check: Check, data: EngineData, sites: Sequence[Site], prints: set[str | None]
) -> str | None:  # fmt: skip
    """Describe the sites that grow by more than the limit without a waiver; None if there are none."""
    strangers = [site for site in sites if site.fingerprint not in prints and site.bytes_per_operation]
    total = _in_unit_of(check, data, sum(site.bytes_per_operation or 0.0 for site in strangers), "bytes/operation")
    if not strangers or total is None or total <= (check.limit or 0.0):
        return None
    return f"it also grows at {strangers[0].place} ({strangers[0].fingerprint}), which no waiver names"


def _in_unit_of(check: Check, data: EngineData, most: float, unit: str) -> float | None:
    """Convert known growth to the unit of a check; None if that is not possible."""
    if unit == check.unit:
        return most
    if unit in ("bytes", "count") or not check.unit.startswith("bytes"):
        return None
    operations, hours = _seen(data, check.id)
    if not operations or not hours:
        return None
    total = most * (operations if unit == "bytes/operation" else hours)
    return total / {"bytes/operation": operations, "bytes/hour": hours}.get(check.unit, 1.0)


def _seen(data: EngineData, check_id: str) -> tuple[float, float]:
    """Return the operations and hours that a check covers.

    For a rate, the load phase. For total growth, the time between the two levels. For the return to baseline, the last
    life, up to the close phase.
    """
    load, counter = data.plan.load, data.signal("operations_total")
    if check_id == "return_to_baseline":
        last = [*counter.lives()][-1:]
        return _done(last[0], load.start_s, data.plan.phases[-1].start_s) if last else (0.0, 0.0)
    gain = level_difference(data.in_load(data.leak_signal)) if check_id.startswith("total_growth.") else None
    start_s, end_s = (gain.from_s, gain.to_s) if gain else (load.start_s, load.end_s)
    return _done(dataclasses.replace(counter, y=running_total(counter)), start_s, end_s)


def _done(counter: Series, start_s: float, end_s: float) -> tuple[float, float]:
    """Return the increase of a monotonic counter in some time, and the hours that it covers."""
    if len(counter) < 2:
        return 0.0, 0.0
    start_s, end_s = max(start_s, float(counter.t_s[0])), min(end_s, float(counter.t_s[-1]))
    begun, ended = np.interp([start_s, end_s], counter.t_s, counter.y)
    return max(0.0, float(ended - begun)), max(0.0, end_s - start_s) / 3600.0


def _say_why_unused(fate: Fate, run: RunData) -> None:
    """Add the reason why a waiver was unused, if it is known."""
    if fate.covers or fate.beyond or fate.reasons:
        return
    waiver = fate.waiver
    engines = [engine for engine in run.engines if waiver.engine in (None, engine.name)]
    if not engines:
        fate.reasons.append(f'no engine "{waiver.engine}" in this run')
    elif waiver.fingerprint is not None:
        failed = [e.name for e in engines if any(look.state == "failed" for look in e.looks)]
        told = f"; a deep look at {', '.join(failed)} failed" if failed else ""
        fate.reasons.append(f"no site of this fingerprint was named{told}")
    else:
        fate.reasons.append("none of its checks failed")
