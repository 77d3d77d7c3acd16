"""`[[fault]]` tables, and the time of each fault. Pure: the same seed always gives the same times."""

import dataclasses
import hashlib
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from soakd import units
from soakd.errors import ConfigError
from soakd.setup.engine_kinds import KINDS
from soakd.setup.settings import FAULT_KINDS, FAULT_PLACES, EngineConfig, FaultConfig
from soakd.setup.toml import Table
from soakd.wire.addresses import without_credentials

NETWORK = ("latency", "blackhole", "reset", "refuse")
LASTING = ("stop", "latency", "blackhole", "refuse")
"""Faults that last until they are healed."""
RELOADING = ("policy.regorus", "policy.opa", "authorize")
MOST_TIMES = 10_000
LONGEST_FAULT_S = 86400.0
PLAIN_SCHEMES = ("http://", "redis://", "unix://")
"""Addresses that a proxy can be put in front of; with TLS, the certificate would not match."""

NAMES_TAKEN = ("server", "operations")
"""Names that faults may not have: an engine with a server has recovery checks of these names anyway."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,126}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """One fault at one time."""

    name: str
    """The name of its table; faults of one table share it."""
    kind: str
    target: str
    on: str
    at_s: float
    """Seconds since the run's origin."""
    duration_s: float = 0.0
    """How long it lasts; 0 for a fault that is over at once."""
    latency_s: float = 0.0
    number: int = 0
    """Its place in the plan, from 1: what is recorded of it bears this number."""


def read_fault(table: Table, engines: Sequence[EngineConfig], unsound: Sequence[str] = ()) -> FaultConfig | None:
    """Read one `[[fault]]` table.

    Args:
        table: the table; collects errors.
        engines: the possible targets.
        unsound: names of engines whose tables have errors, so that their faults cannot be checked.

    Returns:
        The fault; None if it or its engine has an error.
    """
    kind, target = table.text("kind"), table.text("target")
    if kind not in FAULT_KINDS:
        rule = f"must be one of {', '.join(FAULT_KINDS)}"
        table.require("kind", rule) if kind is None else table.report("kind", rule, kind, near=FAULT_KINDS)
    engine = next((engine for engine in engines if engine.name == target and engine.role != "control"), None)
    if engine is None and target not in unsound:
        names = [*(engine.name for engine in engines if engine.role != "control"), *unsound]
        rule = f"must name an engine: {', '.join(names)}"
        table.require("target", rule) if target is None else table.report("target", rule, target, near=names)
    is_known = engine is not None and kind in FAULT_KINDS
    name = table.text("name", f"{kind}@{target}") or ""
    if is_known and not _NAME.fullmatch(name):
        table.report("name", "must be letters, digits, dots, dashes, underscores and @", name)
    if name in NAMES_TAKEN:
        table.report("name", f"must be another: the check recovery.{name} is there already", name)
    fault = FaultConfig(
        name=name, kind=kind or "", target=target or "",
        on=table.choice("on", FAULT_PLACES, _default_place(kind, engine) if kind and engine else "worker"),
        at_s=_moments(table),
        every_s=table.quantity("every", units.parse_duration, None),
        jitter_s=table.quantity("jitter", units.parse_duration, 0.0),
        count=table.whole("count", None, least=1, most=MOST_TIMES),
        duration_s=table.quantity("duration", units.parse_duration, 0.0, most=LONGEST_FAULT_S),
        latency_s=table.quantity("latency", units.parse_duration, 0.0, most=LONGEST_FAULT_S),
    )  # fmt: skip
    if is_known and engine is not None and table.is_sound("on"):
        _refuse_impossible(table, fault, engine)
    if kind in FAULT_KINDS and table.is_sound():
        _refuse_unplanned(table, fault)
    table.finish()
    return fault if engine is not None and table.is_sound() else None


def faults_of(
    faults: Sequence[FaultConfig], loads: Mapping[str, tuple[float, float, float]], seed: int, source: str
) -> tuple[FaultPlan, ...]:
    """Return every fault with its time, in order.

    Args:
        faults: as configured.
        loads: engine -> start and end of its load phase, and its recovery limit, all in seconds.
        seed: of the run.
        source: the configuration's name, for messages.

    Raises:
        ConfigError: a fault could not end, and be recovered from, within the load phase.
    """
    planned: list[FaultPlan] = []
    problems: list[str] = []
    for fault in faults:
        try:
            planned += _placed(fault, loads[fault.target], seed, source)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*problems)
    in_order = sorted(planned, key=lambda fault: (fault.at_s, fault.name))
    return tuple(dataclasses.replace(fault, number=number) for number, fault in enumerate(in_order, 1))


def _placed(fault: FaultConfig, load: tuple[float, float, float], seed: int, source: str) -> Iterator[FaultPlan]:
    start_s, end_s, recovery_s = load
    for after_s in _times(fault, end_s - start_s - fault.duration_s - recovery_s, seed, source):
        yield FaultPlan(
            name=fault.name, kind=fault.kind, target=fault.target, on=fault.on, at_s=round(start_s + after_s, 3),
            duration_s=fault.duration_s, latency_s=fault.latency_s,
        )  # fmt: skip


def has_network_faults(faults: Sequence[FaultPlan], engine: str) -> bool:
    """Return whether the clients of an engine's server must go through a proxy."""
    return any(fault.target == engine and fault.on == "network" for fault in faults)


def parts_of(engine: EngineConfig) -> Iterator[str]:
    """Yield the engines that an engine is made of: a fault of theirs affects it too."""
    options = KINDS[engine.kind].options
    return (str(engine.options[o]) for o, info in options.items() if info.type == "engine" and o in engine.options)


def touched(engines: Sequence[EngineConfig], target: str, on: str) -> tuple[str, ...]:
    """Return the engines that a fault affects: its target, and those that talk to the same server."""
    users = [e.name for e in engines if on != "worker" and e.name != target and target in parts_of(e)]
    return (target, *users)


def _moments(table: Table) -> tuple[float, ...]:
    value = table.get("at")
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    try:
        moments = tuple(units.parse_duration(item) for item in items if isinstance(item, str))
    except ValueError as error:
        table.report("at", str(error))
        return ()
    if len(moments) != len(items) or not moments:
        table.report("at", 'must be a time since the load began such as "30s", or a list of them', value)
    return moments


def _default_place(kind: str, engine: EngineConfig) -> str:
    if kind in NETWORK:
        return "network"
    if kind == "reload-policy":
        return "worker"
    has_server = KINDS[engine.kind].server is not None and "url" not in engine.options
    return "server" if has_server or kind == "restart" else "worker"


def _refuse_impossible(table: Table, fault: FaultConfig, engine: EngineConfig) -> None:
    has_server, url = KINDS[engine.kind].server is not None, engine.options.get("url")
    shown = None if url is None else without_credentials(url)
    if (fault.on == "network") != (fault.kind in NETWORK):
        table.report("on", f'"{fault.kind}" is not possible there', fault.on)
        return
    if fault.kind == "reload-policy":
        if fault.on != "worker" or engine.kind not in RELOADING:
            table.report("target", f"only {', '.join(RELOADING)} load a policy", engine.name)
        elif engine.kind != "authorize" and "policy" not in engine.options:
            table.report("target", "has no policy to reload", engine.name)
    elif fault.on in ("server", "network") and not has_server:
        where = "network" if fault.on == "network" else "server"
        table.report("target", f'an engine of kind "{engine.kind}" has no {where}', engine.name)
    elif fault.on == "server" and url is not None:
        table.report("target", "its server runs at a url: soakd does not stop servers that it did not start", shown)
    elif fault.on == "network" and url is not None and not url.startswith(PLAIN_SCHEMES):
        table.report("target", "no proxy can be put in front of an address with TLS", shown)


def _refuse_unplanned(table: Table, fault: FaultConfig) -> None:
    """Check the times of a fault; a key that is only misspelt is not reported as missing."""
    if not table.misspelt() & {"at", "every"}:
        _refuse_moments(table, fault)
    if fault.kind in LASTING and not fault.duration_s:
        table.require("duration", f'"{fault.kind}" needs a duration')
    if fault.kind not in (*LASTING, "reset") and fault.duration_s:
        table.report("duration", f'"{fault.kind}" is over at once')
    if (fault.kind == "latency") != bool(fault.latency_s):
        rule = 'is required for "latency" faults, and only allowed there'
        (table.report if fault.latency_s else table.require)("latency", rule)


def _refuse_moments(table: Table, fault: FaultConfig) -> None:
    if bool(fault.at_s) == (fault.every_s is not None):
        table.report("at", 'give either at = "30s" or every = "10s"')
    if fault.every_s is None and (fault.jitter_s or fault.count):
        table.report("jitter" if fault.jitter_s else "count", "is only allowed with every")
    if fault.every_s is not None and fault.jitter_s > fault.every_s / 2:
        table.report("jitter", "must be at most half of every, so that faults keep their order")


def _times(fault: FaultConfig, room_s: float, seed: int, source: str) -> list[float]:
    """Return the times of a fault, in seconds since the load began."""
    place = f'{source}: fault "{fault.name}"'
    if fault.every_s is None:
        if late := [at_s for at_s in fault.at_s if at_s > room_s]:
            raise ConfigError(_beyond(place, "at", max(late), room_s))
        return sorted(fault.at_s)
    draw = random.Random(hashlib.sha256(f"{seed}/fault/{fault.name}".encode()).digest())
    most = min(MOST_TIMES, int((room_s - fault.jitter_s) / fault.every_s) if room_s > fault.jitter_s else 0)
    if most < (fault.count or 1):
        last_s = (fault.count or 1) * fault.every_s + fault.jitter_s
        raise ConfigError(_beyond(place, "every", last_s, room_s))
    return [(i + 1) * fault.every_s + draw.uniform(-fault.jitter_s, fault.jitter_s) for i in range(fault.count or most)]


def _beyond(place: str, key: str, at_s: float, room_s: float) -> str:
    return (
        f"{place}: {key}: {units.format_duration(at_s)} after the load began is too late: the last moment from which "
        f"it can be recovered from within the load phase is {units.format_duration(max(0.0, room_s))}"
    )


def without_strangers(faults: Sequence[FaultConfig], engines: Sequence[EngineConfig]) -> tuple[FaultConfig, ...]:
    """Drop the faults of engines that `--only` has left out of the run."""
    names = {engine.name for engine in engines}
    return tuple(fault for fault in faults if fault.target in names)
