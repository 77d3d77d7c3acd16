"""TOML -> Config, or one ConfigError that lists every error on a line: file, place, rule and the value given.

Every key is read by name through a `toml.Table`; keys that are left are unknown and therefore errors. Values are
returned in base units: seconds, bytes, bytes per hour, ratios. Reading continues after an error, without reporting its
consequences: the options of an engine of an unknown kind are not checked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soakd.errors import ConfigError
from soakd.setup.config.all_engines import EngineTables
from soakd.setup.config.overrides import apply_override, replace_duration
from soakd.setup.config.sections import (
    read_attribution,
    read_http,
    read_limits,
    read_retention,
    read_run,
    read_supervision,
)
from soakd.setup.faults import read_fault, without_strangers
from soakd.setup.notify import kept_override, kept_text, read_notify
from soakd.setup.settings import CONTROLS, Config, EngineConfig, FaultConfig, Limits, Schedule, Waiver
from soakd.setup.toml import Problems, Table, parse_toml, read_text
from soakd.setup.waivers import read_waivers
from soakd.wire.masking import HIDDEN, copied_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A file as read: its errors, and what is right about it."""

    problems: Problems
    sound: Config | None
    """The correct part, in which to look for further errors; None if a table for the whole run is wrong."""


def load(path: Path, *, duration: str | None = None, overrides: Sequence[str] = (), only: Sequence[str] = ()) -> Config:
    """Read and check a configuration file.

    Args:
        path: the TOML file; relative paths in it are relative to its folder.
        duration: such as "60s"; replaces `run.duration` and `run.operations`.
        overrides: "key=value" pairs such as "limits.growth_rate=2MB/h" or "engine.NAME.rate=100".
        only: names of the engines to keep; controls are always kept.

    Raises:
        ConfigError: lists every error.
    """
    folder = path.resolve().parent
    return parse(
        read_text(path), source=str(path), folder=folder, duration=duration, overrides=overrides, only=only
    )  # fmt: skip


def parse(
    text: str, *, source: str, folder: Path, duration: str | None = None, overrides: Sequence[str] = (),
    only: Sequence[str] = (),
) -> Config:  # fmt: skip
    """Read and check the text of a configuration; see `load`."""
    found = read(text, source=source, folder=folder, duration=duration, overrides=overrides, only=only)
    found.problems.refuse()
    assert found.sound is not None
    return found.sound


def read(
    text: str, *, source: str, folder: Path, duration: str | None = None, overrides: Sequence[str] = (),
    only: Sequence[str] = (),
) -> Reading:  # fmt: skip
    """Read the text of a configuration, and collect its errors; see `load`.

    Raises:
        ConfigError: the text is not TOML.
    """
    raw = parse_toml(text, source)
    top = Table(raw, source, _with_overrides(raw, overrides, duration))
    _refuse_a_copy(top, raw, source)
    run_table = top.table("run")
    waivers = _read_waivers(run_table, folder)
    run, limits = read_run(run_table, Path(source).stem), read_limits(top.table("limits"), Limits())
    supervision, http = read_supervision(top.table("supervision")), read_http(top.table("http"))
    attribution, retention = read_attribution(top.table("attribution")), read_retention(top.table("retention"))
    notify = read_notify(top.table("notify"), text, overrides, folder)
    tables = EngineTables(top, limits, folder)
    engines = tables.sound
    faults = _read_faults(top.tables("fault"), engines, tables.unsound_names)
    top.finish()
    tables.check()
    kept = tables.select(only)
    kept += _missing_controls(kept, run, limits)
    tables.check_names(kept)
    config = Config(
        source=source, text=kept_text(text, notify), run=run, supervision=supervision, http=http,
        overrides=tuple(kept_override(override, notify) for override in overrides),
        faults=without_strangers(faults, kept),
        attribution=attribution, retention=retention, notify=notify, waivers=waivers, engines=kept,
    )  # fmt: skip
    is_sound = bool(engines) and not any(top.problems.at(name) for name in ("run", "limits"))
    return Reading(problems=top.problems, sound=config if is_sound else None)


def _with_overrides(raw: dict[str, Any], overrides: Sequence[str], duration: str | None) -> Problems:
    """Apply the command line's changes to a parsed file, and start collecting errors."""
    problems = Problems(raw)
    for override in overrides:
        try:
            apply_override(raw, override)
        except ConfigError as error:
            problems.add((), *error.problems)
    if duration is not None:
        replace_duration(raw, duration)
    return problems


def _refuse_a_copy(top: Table, raw: dict[str, Any], source: str) -> None:
    """Refuse a run's copy of its configuration, which has no secrets; the webhook has a message of its own."""
    copied = copied_secret({name: value for name, value in raw.items() if name != "notify"})
    if copied is not None:
        top.problems.add((), f'{source}: {copied}: this is a copy: a secret was replaced by "{HIDDEN}"; set it again')


def _read_waivers(run_table: Table, folder: Path) -> tuple[Waiver, ...]:
    """Read the file that `run.waivers` names; its errors are reported at that key."""
    name = run_table.text("waivers")
    if name is None:
        return ()
    try:
        return read_waivers(_within(folder, name))
    except ConfigError as error:
        run_table.problems.add((*run_table.path, "waivers"), *error.problems)
        return ()


def _within(folder: Path, name: str) -> Path:
    """Resolve a path relative to the configuration's folder; show it relative to the working folder if it is inside."""
    path = folder / name
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _read_faults(
    tables: Sequence[Table], engines: Sequence[EngineConfig], unsound: Sequence[str]
) -> tuple[FaultConfig, ...]:
    """Read the `[[fault]]` tables; their names must be unique, as a check of the verdict is named after each."""
    if not engines:  # no engine, or unknown: reported once, not for each fault
        unsound = [*unsound, *(str(table.peek("target")) for table in tables)]
    read = [(table, read_fault(table, engines, unsound)) for table in tables]
    names: set[str] = set()
    for table, fault in read:
        if fault is not None and fault.name in names:
            table.problems.add(
                (*table.path, "name"),
                f'{table.source}: fault "{fault.name}": name: must be unique, give them different ones',
            )
        names |= {fault.name} if fault is not None else set()
    return tuple(fault for _, fault in read if fault is not None)


def _missing_controls(engines: tuple[EngineConfig, ...], run: Schedule, limits: Limits) -> tuple[EngineConfig, ...]:
    """Return the controls that the file neither lists nor switches off."""
    present = {engine.kind for engine in engines}
    return tuple(
        EngineConfig(name=f"control-{name}", kind=kind, role="control", limits=limits)
        for name, kind in CONTROLS.items()
        if kind not in present and name not in run.controls_off
    )
