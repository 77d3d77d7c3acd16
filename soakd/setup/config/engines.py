"""`[[engine]]` tables, and the options of each kind."""

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from soakd import units
from soakd.setup.config.sections import NAME, read_limits
from soakd.setup.engine_kinds import KINDS, KindInfo, OptionInfo
from soakd.setup.settings import CONTROLS, MIXES, PROFILES, EngineConfig, Limits
from soakd.setup.toml import Table
from soakd.wire.spec import Role

FACTORY = re.compile(r"[\w.]+:[\w.]+")


def read_engine(table: Table, limits: Limits, folder: Path) -> EngineConfig:
    """Read one `[[engine]]` table.

    Args:
        table: the table; collects errors.
        limits: of the run.
        folder: of the file; relative paths start there.

    Returns:
        The engine; if `table` has errors afterwards, only its correct keys are usable.
    """
    name, kind = table.text("name"), table.text("kind")
    if name is None:
        table.require("name", "must be given: letters, digits, dots, dashes and underscores")
    elif not NAME.fullmatch(name):
        table.report("name", "must be given: letters, digits, dots, dashes and underscores", name)
    if kind is None:
        table.require("kind", f"must be one of {', '.join(sorted(KINDS))}")
    elif kind not in KINDS:
        table.report("kind", f"must be one of {', '.join(sorted(KINDS))}", kind, near=KINDS)
    info = KINDS.get(kind or "")
    engine = EngineConfig(
        name=name or "", kind=kind or "",
        forks=table.peek("collect_every") != "off",
        role=table.choice("role", get_args(Role), info.default_role if info else "subject"),  # type: ignore[arg-type]
        rate_per_s=table.number("rate", None, above=0, most=10_000_000),
        profile=table.choice("profile", PROFILES, "target"),
        mix=table.choice("mix", MIXES, "standard"),
        in_flight=table.whole("in_flight", 512, least=1, most=100_000),
        factory=table.text("factory"),
        path=tuple(str((folder / item).resolve()) for item in table.texts("path")),
        python=_read_python(table, folder),
        twin_of=table.text("twin_of"),
        collect_every_s=table.quantity_or_off("collect_every", units.parse_duration, None),
        options=_read_options(table, info, folder),
        limits=read_limits(table.table("limits"), _limits_for(kind or "", limits)),
    )  # fmt: skip
    if info is not None:
        _check_kind(table, engine, info)
    table.finish()
    return engine


def _check_kind(table: Table, engine: EngineConfig, info: KindInfo) -> None:
    """Check what an engine's kind requires of its other keys."""
    if engine.role == "control" and engine.kind not in CONTROLS.values():  # a control's leaks are not looked for
        table.report("role", f'"control" is only for {" and ".join(CONTROLS.values())}', engine.role)
    if info.needs_factory and engine.factory is None and table.is_sound("factory"):
        table.require("factory", f'kind "{engine.kind}" needs factory = "package.module:make"')
    elif not info.needs_factory and engine.factory is not None:
        table.report("factory", f'is only for kind "python", not for "{engine.kind}"', engine.factory)
    elif engine.factory is not None and not FACTORY.fullmatch(engine.factory):
        table.report("factory", 'must be "package.module:make"', engine.factory)
    _refuse_two_servers(table, engine)


def _refuse_two_servers(table: Table, engine: EngineConfig) -> None:
    private = [name for name in ("backend", "binary", "args", "version") if name in engine.options]
    if KINDS[engine.kind].server and "url" in engine.options and private:
        table.report("options", f"url names a running server, but {private[0]} is for a private one")


def _read_python(table: Table, folder: Path) -> str | None:
    """Read an interpreter: a name is looked up on PATH; links are kept, as one in an environment leads out of it."""
    python = table.text("python")
    if python is None or "/" not in python:
        return python
    return str(folder.absolute() / python)


def _limits_for(kind: str, limits: Limits) -> Limits:
    """Fill in the release criteria's latency limit for the kind, if the config sets none."""
    if limits.latency_p95_s is not None:
        return limits
    default_s = {"policy": 5e-3, "authorize": 5e-3, "cache": 0.5e-3}.get(kind.partition(".")[0])
    return dataclasses.replace(limits, latency_p95_s=default_s)


def _read_options(table: Table, info: KindInfo | None, folder: Path) -> Mapping[str, Any]:
    given = table.get("options")
    given = {} if given is None else given
    if not isinstance(given, dict):
        table.report("options", "must be a table: options = { ... }", given)
        return {}
    if info is None:
        return {}  # the kind is unknown
    if info.needs_factory:
        _refuse_what_cannot_travel(table, given)
        return given  # keyword arguments of the user's factory, which checks them
    options = table.inner(given, f"{table.place}: options", "options")
    read = {name: _read_option(options, name, option, folder) for name, option in info.options.items()}
    for name, option in info.options.items():
        if option.needed and name not in given and not given.keys() & set(option.unless):
            options.require(name, f"must be given: {option.doc.partition(';')[0]}")
    options.finish()
    return {name: value for name, value in read.items() if value is not None}


def _refuse_what_cannot_travel(table: Table, options: Mapping[str, Any]) -> None:
    """Refuse options that JSON, which carries them to the worker, cannot represent: dates, NaN, infinity."""
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError):
        rule = "may hold texts, finite numbers, true, false, lists and tables; write dates as texts"
        table.report("options", rule, options)


def _read_option(options: Table, name: str, option: OptionInfo, folder: Path) -> Any:
    value = options.get(name)
    if value is None:
        return None
    try:
        return option.read(value, folder)
    except ValueError as error:
        options.report(name, str(error))
        return None
