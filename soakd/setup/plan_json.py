"""A plan as JSON, so that the judge needs nothing but the journal."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from soakd.errors import JournalError
from soakd.setup.faults import FaultPlan
from soakd.setup.notify import without_secrets
from soakd.setup.plan import EnginePlan, Plan
from soakd.setup.settings import (
    Attribution,
    Config,
    EngineConfig,
    FaultConfig,
    Http,
    Limits,
    Notify,
    Retention,
    Schedule,
    Supervision,
    Waiver,
)
from soakd.wire.masking import HIDDEN, copied_secret, masked
from soakd.wire.spec import Phase


def plan_as_dict(plan: Plan) -> dict[str, Any]:
    """Return a plan with everything it was made from, except secrets; of a webhook's address only the host."""
    fields = dataclasses.asdict(plan)
    if plan.config.notify.webhook is not None:
        fields["config"]["notify"]["webhook"] = without_secrets(plan.config.notify.webhook)
    written: dict[str, Any] = masked(fields, numbers=True)
    return written


def secret_options(plan: Plan) -> dict[str, Mapping[str, Any]]:
    """Return, by name, the options of engines that contain secrets and that `plan_as_dict` therefore changes."""
    options = {engine.config.name: _jsonable(engine.config.options) for engine in plan.engines}
    return {name: given for name, given in options.items() if masked(given, numbers=True) != given}


def with_options(plan: Plan, options: Mapping[str, Mapping[str, Any]]) -> Plan:
    """Restore the options that `secret_options` returned.

    Raises:
        JournalError: an engine's options are missing.
    """
    engines = tuple(_with_options(engine, options) for engine in plan.engines)
    config = dataclasses.replace(plan.config, engines=tuple(engine.config for engine in engines))
    return dataclasses.replace(plan, config=config, engines=engines)


def _with_options(engine: EnginePlan, options: Mapping[str, Mapping[str, Any]]) -> EnginePlan:
    """Restore one engine's own options; what the plan added is kept."""
    name = engine.config.name
    if (key := copied_secret(engine.config.options)) is None:
        return engine
    if name not in options:
        raise JournalError(f'engine "{name}": options: {key}: the secret was kept beside the run, and is gone')
    given = options[name]
    config = dataclasses.replace(engine.config, options=given)
    return dataclasses.replace(engine, config=config, options={**engine.options, **given})


def _jsonable(options: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(options))


def plan_from_dict(fields: Mapping[str, Any]) -> Plan:
    """Read what `plan_as_dict` wrote.

    Raises:
        JournalError: it is not a plan of this version.
    """
    try:
        return Plan(**{
            **fields,
            "config": _config(fields["config"]),
            "engines": tuple(_engine_plan(engine) for engine in fields["engines"]),
            "faults": tuple(FaultPlan(**{"number": i, **fault}) for i, fault in enumerate(fields.get("faults", ()), 1)),
        })  # fmt: skip
    except (KeyError, TypeError) as error:
        raise JournalError(f"the journal's plan cannot be read by this version of soakd: {error}") from error


def _config(fields: Mapping[str, Any]) -> Config:
    return Config(**{
        **fields,
        "run": Schedule(**{**fields["run"], "controls_off": tuple(fields["run"]["controls_off"])}),
        "engines": tuple(_engine_config(engine) for engine in fields["engines"]),
        "supervision": Supervision(**fields["supervision"]),
        "http": Http(**{**fields["http"], "hosts": tuple(fields["http"].get("hosts", ()))}),
        "overrides": tuple(fields["overrides"]),
        "faults": tuple(_fault_config(fault) for fault in fields.get("faults", ())),
        "attribution": Attribution(**fields.get("attribution", {})),
        "waivers": tuple(_waiver(waiver) for waiver in fields.get("waivers", ())),
        "retention": Retention(**fields.get("retention", {})),
        "notify": notify_from_dict(fields.get("notify", {})),
    })  # fmt: skip


def notify_from_dict(fields: Mapping[str, Any]) -> Notify:
    """Read the recipients; an address that was written without its secret is left out."""
    read = Notify(**{**fields, **{name: tuple(fields[name]) for name in ("command", "on") if name in fields}})
    hidden = read.webhook is not None and HIDDEN in read.webhook
    return dataclasses.replace(read, webhook=None) if hidden else read


def _waiver(fields: Mapping[str, Any]) -> Waiver:
    return Waiver(**{**fields, "checks": tuple(fields["checks"])})


def _engine_config(fields: Mapping[str, Any]) -> EngineConfig:
    return EngineConfig(**{**fields, "path": tuple(fields["path"]), "limits": Limits(**fields["limits"])})


def _fault_config(fields: Mapping[str, Any]) -> FaultConfig:
    return FaultConfig(**{**fields, "at_s": tuple(fields["at_s"])})


def _engine_plan(fields: Mapping[str, Any]) -> EnginePlan:
    phases = tuple(Phase(**phase) for phase in fields["phases"])
    return EnginePlan(**{**fields, "config": _engine_config(fields["config"]), "phases": phases})
