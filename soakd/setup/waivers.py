"""Known leaks, as listed in `waivers.toml`: read and checked for the plan, and so for the journal.

A waiver names a known leak (by its fingerprint, or as the growth of an engine up to a bound), the releases of a package
that have it, a reason, and an expiry date. Only checks of growth may be named: missing evidence cannot be waived.
"""

import contextlib
import datetime as dt
import re
from collections.abc import Sequence
from pathlib import Path

from soakd import units
from soakd.setup.settings import Waiver
from soakd.setup.toml import Table, parse_toml, read_text

WAIVABLE = ("growth.", "total_growth.", "return_to_baseline")
"""The prefixes of the check ids that a waiver may name."""
LONGEST_TEXT = 500

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_OPERATION = ("op", "operation")


def read_waivers(path: Path) -> tuple[Waiver, ...]:
    """Read a waivers file.

    Raises:
        ConfigError: it cannot be read, or an entry is wrong: file, entry, key, rule and the value given.
    """
    top = Table(parse_toml(read_text(path), str(path)), str(path))
    waivers = [_read(table, number) for number, table in enumerate(top.tables("waiver"), 1)]
    top.finish()
    _refuse_twice(top, [waiver.name for waiver in waivers])
    top.problems.refuse()
    return tuple(waivers)


def _read(table: Table, number: int) -> Waiver:
    """Read one entry; the result is unusable if it has errors."""
    fingerprint, engine, checks = table.text("fingerprint"), table.text("engine"), table.texts("check")
    package, versions = _read_package(table)
    most, unit = _read_most(table)
    reason = table.text("reason")
    waiver = Waiver(
        name=table.text("name") or fingerprint or f"waiver {number}", fingerprint=fingerprint, engine=engine,
        checks=checks, package=package, versions=versions, reason=" ".join((reason or "").split()),
        expires=_read_date(table), at_most=most, at_most_unit=unit,
    )  # fmt: skip
    if table.is_sound("fingerprint", "engine", "check") and not table.misspelt() & {"fingerprint", "engine", "check"}:
        _refuse_wrong_leak(table, waiver)
    pair = {"package", "versions"}
    if (package is None) != (versions is None) and table.is_sound(*pair) and not table.misspelt() & pair:
        table.report("versions", "must be set together with package", versions or package)
    if not waiver.reason or len(reason or "") > LONGEST_TEXT:
        rule = f"must be given: why this leak is known, in at most {LONGEST_TEXT} characters"
        (table.report if reason else table.require)("reason", rule)
    if len(waiver.name) > LONGEST_TEXT:
        table.report("name", f"must have at most {LONGEST_TEXT} characters")
    table.finish()
    return waiver


def _refuse_wrong_leak(table: Table, waiver: Waiver) -> None:
    """Check which leak is named: by its site, or as the growth of an engine up to a bound."""
    rule = 'must be given with engine and check, such as "2MB/h" or "64B/op", so that larger growth still fails'
    if waiver.fingerprint is None:
        if waiver.engine is None or not waiver.checks:
            table.report("fingerprint", "must be given, or engine and check")
        elif waiver.at_most is None:
            table.require("at_most", rule)
    elif not _FINGERPRINT.fullmatch(waiver.fingerprint):
        rule = "must be 16 hexadecimal digits, as a verdict's attribution has them"
        table.report("fingerprint", rule, waiver.fingerprint)
    elif waiver.checks:
        table.report("check", "must not be set with fingerprint, which covers every growth check of its leak")
    for check in waiver.checks:
        if not check.startswith(WAIVABLE):
            table.report("check", f"must be a check of growth ({', '.join(WAIVABLE)}...)", check)


def _read_package(table: Table) -> tuple[str | None, str | None]:
    package, versions = table.text("package"), table.text("versions")
    if versions is not None:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet  # rarely needed

        try:
            SpecifierSet(versions)
        except InvalidSpecifier:
            table.report("versions", 'must be a range such as ">=1.2,<1.3"', versions)
    return package, versions


def _read_date(table: Table) -> str:
    value = table.get("expires")
    if type(value) is dt.date:
        return value.isoformat()
    rule = "must be a date without quotes, such as 2027-01-31"
    table.require("expires", rule) if value is None else table.report("expires", rule, value)
    return ""


def _read_most(table: Table) -> tuple[float | None, str | None]:
    """Read the bound of the known growth, and the unit of the checks that it applies to."""
    value = table.get("at_most")
    if value is None:
        return None, None
    most, unit = None, None
    if type(value) is int:
        most, unit = float(value), "count"
    elif isinstance(value, str):
        with contextlib.suppress(ValueError):
            most, unit = _quantity(value)
    if most is None:
        rule = 'must be "2MB/h", "64B/op", "10MB" (of total growth), or a whole number (of descriptors, threads, tasks)'
        table.report("at_most", rule, value)
    elif most <= 0:
        table.report("at_most", "must be above 0", value)
    return most, unit


def _quantity(text: str) -> tuple[float, str]:
    size, slash, per = text.partition("/")
    if not slash:
        return units.parse_size(text), "bytes"
    if per.strip() in _OPERATION:
        return units.parse_size(size), "bytes/operation"
    return units.parse_growth_rate(text), "bytes/hour"


def _refuse_twice(top: Table, names: Sequence[str]) -> None:
    """Refuse two waivers of the same name, by which verdicts refer to them."""
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        text = f'{top.place}: waiver "{name}": name: must be unique, give them different ones'
        top.problems.add(("waiver", len(names) - 1 - names[::-1].index(name), "name"), text)
