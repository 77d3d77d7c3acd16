"""Known leaks, as `waivers.toml` lists them: read and checked, for the plan and so for the journal.

A waiver says which leak is known (by its fingerprint, or as the growth of an engine up to a bound), for which releases
of a package, why, and until when. What evidence is missing nobody can waive: only checks of growth may be named.
"""

import datetime as dt
import re
from collections.abc import Sequence
from pathlib import Path

from soakd import units
from soakd.errors import ConfigError
from soakd.settings import Waiver
from soakd.tables import Table, parse_toml, read_text

WAIVABLE = ("growth.", "total_growth.", "return_to_baseline")
"""How the ids of checks begin that a waiver may name."""
LONGEST_TEXT = 500

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_OPERATION = ("op", "operation")


def read_waivers(path: Path) -> tuple[Waiver, ...]:
    """Read a file of waivers.

    Raises:
        ConfigError: it cannot be read, or an entry is wrong: file, entry, key, rule and what was given.
    """
    top = Table(parse_toml(read_text(path), str(path)), str(path))
    waivers = tuple(_read(table, number) for number, table in enumerate(top.tables("waiver"), 1))
    top.finish()
    _refuse_twice([waiver.name for waiver in waivers], path)
    return waivers


def _read(table: Table, number: int) -> Waiver:
    fingerprint, engine, checks = table.text("fingerprint"), table.text("engine"), table.texts("check")
    _refuse_wrong_leak(table, fingerprint, engine, checks)
    package, versions = _read_package(table)
    most, unit = _read_most(table)
    if fingerprint is None and most is None:
        rule = 'must be given with engine and check, such as "2MB/h" or "64B/op": a waiver hides no other growth'
        raise table.fail("at_most", rule)
    reason = table.text("reason")
    if reason is None or not reason.strip() or len(reason) > LONGEST_TEXT:
        raise table.fail("reason", f"must be given: why this leak is known, in at most {LONGEST_TEXT} characters")
    waiver = Waiver(
        name=table.text("name") or fingerprint or f"waiver {number}", fingerprint=fingerprint, engine=engine,
        checks=checks, package=package, versions=versions, reason=" ".join(reason.split()),
        expires=_read_date(table), at_most=most, at_most_unit=unit,
    )  # fmt: skip
    if len(waiver.name) > LONGEST_TEXT:
        raise table.fail("name", f"must have at most {LONGEST_TEXT} characters")
    table.finish()
    return waiver


def _refuse_wrong_leak(table: Table, fingerprint: str | None, engine: str | None, checks: Sequence[str]) -> None:
    if fingerprint is not None and not _FINGERPRINT.fullmatch(fingerprint):
        raise table.fail(
            "fingerprint", "must be 16 hexadecimal digits, as a verdict's attribution has them", fingerprint
        )
    if fingerprint is not None and checks:
        raise table.fail("check", "must not stand beside fingerprint, which covers every check of growth of its leak")
    if fingerprint is None and (engine is None or not checks):
        raise table.fail("fingerprint", "must be given, or else engine and check")
    for check in checks:
        if not check.startswith(WAIVABLE):
            raise table.fail("check", f"must be a check of growth ({', '.join(WAIVABLE)}...)", check)


def _read_package(table: Table) -> tuple[str | None, str | None]:
    package, versions = table.text("package"), table.text("versions")
    if (package is None) != (versions is None):
        raise table.fail("versions", "must stand beside package, and package beside versions", versions or package)
    if versions is not None:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet  # not in a daemon without waivers

        try:
            SpecifierSet(versions)
        except InvalidSpecifier:
            raise table.fail("versions", 'must be a range such as ">=1.2,<1.3"', versions) from None
    return package, versions


def _read_date(table: Table) -> str:
    value = table.get("expires")
    if type(value) is not dt.date:
        raise table.fail("expires", "must be a date without quotes, such as 2027-01-31", value)
    return value.isoformat()


def _read_most(table: Table) -> tuple[float | None, str | None]:
    """Read the most growth that is known, and the unit of checks in which it stands."""
    value = table.get("at_most")
    if value is None:
        return None, None
    rule = 'must be "2MB/h", "64B/op", "10MB" (of total growth), or a whole number (of descriptors, threads, tasks)'
    if type(value) is int:
        most, unit = float(value), "count"
    elif isinstance(value, str):
        try:
            most, unit = _quantity(value)
        except ValueError:
            raise table.fail("at_most", rule, value) from None
    else:
        raise table.fail("at_most", rule, value)
    if most <= 0:
        raise table.fail("at_most", "must be above 0", value)
    return most, unit


def _quantity(text: str) -> tuple[float, str]:
    size, slash, per = text.partition("/")
    if not slash:
        return units.parse_size(text), "bytes"
    if per.strip() in _OPERATION:
        return units.parse_size(size), "bytes/operation"
    return units.parse_growth_rate(text), "bytes/hour"


def _refuse_twice(names: Sequence[str], path: Path) -> None:
    """What is said of a waiver is said by its name."""
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f'{path}: waiver "{twice[0]}": name: must be unique, give them different ones')
