"""TOML -> Config, or one ConfigError that names file, place, rule and what was given.

Every key is read by name through a `tables.Table`; what is left unread is unknown and therefore an error. Values come
out in base units: seconds, bytes, bytes per hour, ratios.
"""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from soakd import units
from soakd.errors import ConfigError
from soakd.faultplan import read_fault, without_strangers
from soakd.kinds import KINDS, KindInfo, OptionInfo
from soakd.model import Role
from soakd.notifyplan import kept_text, read_notify
from soakd.settings import (
    CONTROLS,
    MIXES,
    PROFILES,
    Attribution,
    Config,
    EngineConfig,
    FaultConfig,
    Http,
    Limits,
    Retention,
    Schedule,
    Supervision,
)
from soakd.tables import Table, parse_toml, read_text
from soakd.waiverfile import read_waivers

LONGEST_RUN_S = 366 * 86400.0

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def load(path: Path, *, duration: str | None = None, overrides: Sequence[str] = (), only: Sequence[str] = ()) -> Config:
    """Read and check a configuration file.

    Args:
        path: the TOML file; relative paths in it are relative to its folder.
        duration: replaces `run.duration` (and `run.operations`), such as "60s".
        overrides: "key=value" pairs such as "limits.growth_rate=2MB/h" or "engine.NAME.rate=100".
        only: names of the engines to keep; controls stay.

    Raises:
        ConfigError: anything that is wrong with it.
    """
    return parse(
        read_text(path),
        source=str(path),
        folder=path.resolve().parent,
        duration=duration,
        overrides=overrides,
        only=only,
    )


def parse(
    text: str,
    *,
    source: str,
    folder: Path,
    duration: str | None = None,
    overrides: Sequence[str] = (),
    only: Sequence[str] = (),
) -> Config:
    """Check the text of a configuration; see `load`."""
    raw = parse_toml(text, source)
    for override in overrides:
        _apply_override(raw, override)
    if duration is not None:
        _replace_duration(raw, duration)
    top = Table(raw, source)
    run_table = top.table("run")
    waivers = run_table.text("waivers")
    run = _read_run(run_table, Path(source).stem)
    limits = _read_limits(top.table("limits"), Limits())
    supervision = _read_supervision(top.table("supervision"))
    http = _read_http(top.table("http"))
    attribution = _read_attribution(top.table("attribution"))
    retention = _read_retention(top.table("retention"))
    notify = read_notify(top.table("notify"), text, overrides, folder)
    engines = tuple(_read_engine(table, limits, folder) for table in top.tables("engine"))
    faults = _check_faults(tuple(read_fault(table, engines) for table in top.tables("fault")), source)
    top.finish()
    _check_twins(engines, source)
    engines = _select(engines, only, source)
    return Config(
        source=source, text=kept_text(text, notify), run=run, supervision=supervision, http=http,
        overrides=tuple(kept_text(override, notify) for override in overrides),
        faults=without_strangers(faults, engines),
        attribution=attribution, retention=retention, notify=notify,
        waivers=() if waivers is None else read_waivers(_within(folder, waivers)),
        engines=_check_names(engines + _missing_controls(engines, run, limits), source),
    )  # fmt: skip


def _within(folder: Path, name: str) -> Path:
    """Take a relative path from the configuration's folder, and show one that lies in the working folder as such."""
    path = folder / name
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _read_run(table: Table, stem: str) -> Schedule:
    run = Schedule(
        name=table.text("name", stem) or stem,
        duration_s=table.quantity("duration", units.parse_duration, None, most=LONGEST_RUN_S),
        operations=table.whole("operations", None, least=1),
        sample_every_s=table.quantity("sample_every", units.parse_duration, 10.0, least=0.01),
        collect_every_s=table.quantity_or_off("collect_every", units.parse_duration, 60.0),
        snapshot_every_s=table.quantity_or_off("snapshot_every", units.parse_duration, 300.0),
        seed=table.whole("seed", 1),
        controls_off=table.texts("controls_off"),
        longest_gap_s=table.quantity("longest_gap", units.parse_duration, None, most=LONGEST_RUN_S),
        disk_budget_bytes=_or_never(table.quantity_or_off("disk_budget", units.parse_size, -1.0)),
        memory_reserve_bytes=_or_never(table.quantity_or_off("memory_reserve", units.parse_size, -1.0)),
    )
    if (run.duration_s is None) == (run.operations is None):
        raise table.fail("duration", 'give either duration = "24h" or operations = 100_000')
    if not _NAME.fullmatch(run.name):
        raise table.fail("name", "must be letters, digits, dots, dashes and underscores", run.name)
    for name in run.controls_off:
        if name not in CONTROLS:
            raise table.fail("controls_off", f"must be of {', '.join(CONTROLS)}", name)
    table.finish()
    return run


def _or_never(reserve: float | None) -> float | None:
    """Read "off" as 0 and nothing as None."""
    return 0.0 if reserve is None else None if reserve < 0 else reserve


def _read_limits(table: Table, base: Limits) -> Limits:
    rate = table.quantity_or_off("growth_rate", units.parse_growth_rate, -1.0)
    per_operation = table.quantity_or_off("growth_per_operation", units.parse_size, -1.0)
    named = rate != -1.0 or per_operation != -1.0
    # Where a table names a growth limit, only what it names is judged.
    growth = {
        "growth_rate_bytes_per_h": (None if rate == -1.0 else rate) if named else base.growth_rate_bytes_per_h,
        "growth_per_operation_bytes": (
            (None if per_operation == -1.0 else per_operation) if named else base.growth_per_operation_bytes
        ),
    }
    limits = Limits(
        **growth,
        total_growth_bytes=table.quantity_or_off("total_growth", units.parse_size, base.total_growth_bytes),
        return_to_baseline_bytes=table.quantity_or_off(
            "return_to_baseline", units.parse_size, base.return_to_baseline_bytes
        ),
        error_ratio=table.number("error_ratio", base.error_ratio, least=0, most=1),
        latency_p95_s=table.quantity_or_off("latency_p95", units.parse_duration, base.latency_p95_s),
        latency_drift_ratio=table.number("latency_drift_ratio", base.latency_drift_ratio, above=0),
        response_p99_s=table.quantity_or_off("response_p99", units.parse_duration, base.response_p99_s),
        cpu_ratio=table.number("cpu_ratio", base.cpu_ratio, above=0),
        achieved_ratio=table.number("achieved_ratio", base.achieved_ratio, least=0, most=1),
        fd_growth=table.number("fd_growth", base.fd_growth, above=0),
        thread_growth=table.number("thread_growth", base.thread_growth, above=0),
        task_growth=table.number("task_growth", base.task_growth, above=0),
        restarts=table.whole("restarts", base.restarts),
        recovery_s=table.quantity("recovery", units.parse_duration, base.recovery_s),
    )
    table.finish()
    return limits


def _read_supervision(table: Table) -> Supervision:
    base = Supervision()
    supervision = Supervision(
        max_restarts=table.whole("max_restarts", base.max_restarts, most=10_000),
        restart_backoff_s=table.quantity("restart_backoff", units.parse_duration, base.restart_backoff_s),
        hang_after_s=table.quantity("hang_after", units.parse_duration, base.hang_after_s),
        start_within_s=table.quantity("start_within", units.parse_duration, base.start_within_s),
        healthy_after_s=table.quantity("healthy_after", units.parse_duration, base.healthy_after_s),
    )
    table.finish()
    return supervision


def _read_http(table: Table) -> Http:
    http = Http(host=table.text("host", "127.0.0.1") or "", port=table.whole("port", 0, most=65535))
    table.finish()
    return http


def _read_attribution(table: Table) -> Attribution:
    base = Attribution()
    attribution = Attribution(
        enabled=table.truth("enabled", base.enabled), per_hour=table.whole("per_hour", base.per_hour, most=1000)
    )
    table.finish()
    return attribution


def _read_retention(table: Table) -> Retention:
    retention = Retention(
        runs=table.whole("runs", None, least=1),
        age_s=table.quantity("age", units.parse_duration, None),
        size_bytes=table.quantity("size", units.parse_size, None),
    )
    table.finish()
    return retention


def _read_engine(table: Table, limits: Limits, folder: Path) -> EngineConfig:
    name = table.text("name")
    if name is None or not _NAME.fullmatch(name):
        raise table.fail("name", "must be given: letters, digits, dots, dashes and underscores", name)
    kind = table.text("kind")
    if kind is None or kind not in KINDS:
        raise table.fail("kind", f"must be one of {', '.join(sorted(KINDS))}", kind)
    info = KINDS[kind]
    forks = table.peek("collect_every") != "off"
    engine = EngineConfig(
        name=name, kind=kind,
        role=table.choice("role", get_args(Role), info.default_role),  # type: ignore[arg-type]
        rate_per_s=table.number("rate", None, above=0, most=10_000_000),
        profile=table.choice("profile", PROFILES, "target"),
        mix=table.choice("mix", MIXES, "standard"),
        in_flight=table.whole("in_flight", 512, least=1, most=100_000),
        factory=table.text("factory"),
        path=tuple(str((folder / item).resolve()) for item in table.texts("path")),
        python=_read_python(table, folder),
        twin_of=table.text("twin_of"),
        collect_every_s=table.quantity_or_off("collect_every", units.parse_duration, None),
        forks=forks,
        options=_read_options(table, info, folder),
        limits=_read_limits(table.table("limits"), _limits_for(kind, limits)),
    )  # fmt: skip
    if engine.role == "control" and kind not in CONTROLS.values():  # nobody asks whether a control leaks
        raise table.fail("role", f'"control" is for {" and ".join(CONTROLS.values())}: soakd itself', engine.role)
    if info.needs_factory and engine.factory is None:
        raise table.fail("factory", f'kind "{kind}" needs factory = "package.module:make"')
    if not info.needs_factory and engine.factory is not None:
        raise table.fail("factory", f'belongs to kind "python", not to "{kind}"', engine.factory)
    if engine.factory is not None and not re.fullmatch(r"[\w.]+:[\w.]+", engine.factory):
        raise table.fail("factory", 'must be "package.module:make"', engine.factory)
    _refuse_two_servers(table, engine)
    table.finish()
    return engine


def _refuse_two_servers(table: Table, engine: EngineConfig) -> None:
    private = [name for name in ("backend", "binary", "args", "version") if name in engine.options]
    if KINDS[engine.kind].server and "url" in engine.options and private:
        raise table.fail("options", f"url names a server that runs already, {private[0]} concerns one of soakd's own")


def _read_python(table: Table, folder: Path) -> str | None:
    """Read an interpreter: a name is looked up on PATH; links stay, for one in an environment leads out of it."""
    python = table.text("python")
    if python is None or "/" not in python:
        return python
    return str(folder.absolute() / python)


def _limits_for(kind: str, limits: Limits) -> Limits:
    """Fill in the latency limit that the release criteria give for a kind, where the config names none."""
    if limits.latency_p95_s is not None:
        return limits
    default_s = {"policy": 5e-3, "authorize": 5e-3, "cache": 0.5e-3}.get(kind.partition(".")[0])
    return dataclasses.replace(limits, latency_p95_s=default_s)


def _read_options(table: Table, info: KindInfo, folder: Path) -> Mapping[str, Any]:
    given = table.get("options")
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise table.fail("options", "must be a table: options = { ... }", given)
    if info.needs_factory:
        _refuse_what_cannot_travel(table, given)
        return given  # the keyword arguments of somebody's own factory: theirs to check
    options = Table(given, f"{table.place}: options")
    read = {name: _read_option(options, name, option, folder) for name, option in info.options.items()}
    options.finish()
    return {name: value for name, value in read.items() if value is not None}


def _refuse_what_cannot_travel(table: Table, options: Mapping[str, Any]) -> None:
    """Options reach the worker as JSON, which has no dates, no NaN and no infinity."""
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError):
        rule = "may hold texts, finite numbers, true, false, lists and tables; write dates as texts"
        raise table.fail("options", rule, options) from None


def _read_option(options: Table, name: str, option: OptionInfo, folder: Path) -> Any:
    value = options.get(name)
    if value is None:
        return None
    try:
        return option.read(value, folder)
    except ValueError as error:
        raise options.fail(name, str(error)) from error


def _missing_controls(engines: tuple[EngineConfig, ...], run: Schedule, limits: Limits) -> tuple[EngineConfig, ...]:
    """Add the controls that the file neither lists nor switches off."""
    present = {engine.kind for engine in engines}
    return tuple(
        EngineConfig(name=f"control-{name}", kind=kind, role="control", limits=limits)
        for name, kind in CONTROLS.items()
        if kind not in present and name not in run.controls_off
    )


def _select(engines: tuple[EngineConfig, ...], only: Sequence[str], source: str) -> tuple[EngineConfig, ...]:
    names = [engine.name for engine in engines]
    for name in only:
        if name not in names:
            raise ConfigError(f'{source}: no engine "{name}"; engines: {", ".join(names)}')
    kept = tuple(e for e in engines if not only or e.name in only or e.role == "control")
    if not kept:
        raise ConfigError(f"{source}: engine: at least one [[engine]] is needed")
    return kept


def _check_names(engines: tuple[EngineConfig, ...], source: str) -> tuple[EngineConfig, ...]:
    names = [engine.name for engine in engines]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f'{source}: engine "{name}": name: must be unique, but {names.count(name)} engines have it'
            )
    return engines


def _check_faults(faults: tuple[FaultConfig, ...], source: str) -> tuple[FaultConfig, ...]:
    """A check of the verdict is named after a fault."""
    names = [fault.name for fault in faults]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f'{source}: fault "{twice[0]}": name: must be unique, give them different ones')
    return faults


def _check_twins(engines: tuple[EngineConfig, ...], source: str) -> None:
    """A twin is compared with the engine that it names, which may be left out of a run later (`--only`)."""
    for engine in engines:
        others = [other.name for other in engines if other.name != engine.name and other.role != "control"]
        if engine.twin_of is not None and engine.twin_of not in others:
            raise ConfigError(
                f'{source}: engine "{engine.name}": twin_of: must name another engine, got "{engine.twin_of}"'
            )


def _apply_override(raw: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or len(parts) < 2:
        raise ConfigError(f'--set {override}: must be "table.key=value", such as "limits.growth_rate=2MB/h"')
    table = raw
    if parts[0] == "engine":
        table, parts = _engine_to_override(raw, key.strip().removeprefix("engine."), override)
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f'--set {override}: "{part}" is not a table')
    table[parts[-1]] = _toml_value(text.strip())


def _engine_to_override(raw: Mapping[str, Any], rest: str, override: str) -> tuple[dict[str, Any], list[str]]:
    """Find the engine whose name, which may have dots in it, the key begins with; and the keys inside it."""
    listed = raw.get("engine")
    engines = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    named = [item for item in engines if rest.startswith(f"{item.get('name')}.")]
    if not named:
        raise ConfigError(f'--set {override}: no engine "{rest.partition(".")[0]}"')
    engine = max(named, key=lambda item: len(str(item["name"])))
    return engine, rest.removeprefix(f"{engine['name']}.").split(".")


def _toml_value(text: str) -> Any:
    try:
        return parse_toml(f"value = {text}", "--set")["value"]
    except ConfigError:
        return text  # 2MB/h needs no quotes on a command line


def _replace_duration(raw: dict[str, Any], duration: str) -> None:
    run = raw.setdefault("run", {})
    if isinstance(run, dict):
        run.pop("operations", None)
        run["duration"] = duration
