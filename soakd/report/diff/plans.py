"""Differences between the plans and the hosts of two runs."""

from collections.abc import Iterator, Mapping
from typing import Any

from soakd.setup.plan_json import plan_as_dict, plan_from_dict

NOT_COMPARED = frozenset({"source", "text", "http", "overrides", "path", "seed", "phases"})
"""Keys that name files and addresses, or follow from the others."""
HOST = ("name", "kernel", "machine", "cpus", "cpu_model", "memory_bytes", "libc", "transparent_huge_pages")

Flat = dict[str, Any]


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Compare the plans and environments of two runs.

    Args:
        before: the facts of the one, as `journal.read_meta` gives them.
        after: the facts of the other.

    Returns:
        `plan` and `environment`: {"key", "from", "to"} of what differs, None where there is nothing.

    Raises:
        JournalError: a plan cannot be read by this version.
    """
    return {
        "plan": _unlike(_plan(before), _plan(after)),
        "environment": _unlike(_environment(before), _environment(after)),
    }


def _plan(meta: Mapping[str, Any]) -> Flat:
    """Return the plan as flat keys; a key that is newer than the journal has its default."""
    if "plan" not in meta:
        return {}
    plan = plan_as_dict(plan_from_dict(meta["plan"]))
    config = plan["config"]
    found = dict(_flat("run", {key: value for key, value in config["run"].items() if key != "name"}))
    found["run.seed"] = config["run"]["seed"]
    for engine in plan["engines"]:
        own = {**engine["config"], "rate_per_s": engine["rate_per_s"], "options": engine["options"]}
        found |= _flat(f"engine.{own.pop('name')}", own)
    for part in ("supervision", "attribution", "faults"):
        found |= _flat(part, config[part])
    return found


def _environment(meta: Mapping[str, Any]) -> Flat:
    environment = meta.get("environment", {})
    host = environment.get("host", {})
    found = dict(_flat("host", {name: host.get(name) for name in HOST}))
    return found | _flat("versions", environment.get("versions", {})) | {"git_commit": environment.get("git_commit")}


def _flat(place: str, value: Any) -> Flat:
    return dict(_leaves(place, value))


def _leaves(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in NOT_COMPARED:
                yield from _leaves(f"{place}.{key}", inner)
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value, 1):
            yield from _leaves(f"{place}.{number}", item)
    else:
        yield place, list(value) if isinstance(value, tuple) else value


def _unlike(before: Flat, after: Flat) -> list[dict[str, Any]]:
    """Return what differs; an engine that only one run has is one entry, not fifty."""
    if not before or not after:
        return []
    listed, found = set(), []
    engines = [{key.split(".")[1] for key in side if key.startswith("engine.")} for side in (before, after)]
    for key in dict.fromkeys([*before, *after]):
        one, other = before.get(key), after.get(key)
        if one == other:
            continue
        name = key.split(".")[1] if key.startswith("engine.") else None
        if name in engines[0] ^ engines[1]:
            if name not in listed:
                listed.add(name)
                found.append({"key": f"engine.{name}", "from": _is_there(name, engines[0]),
                              "to": _is_there(name, engines[1])})  # fmt: skip
        else:
            found.append({"key": key, "from": one, "to": other})
    return found


def _is_there(name: str | None, engines: set[str]) -> str | None:
    return "present" if name in engines else None
