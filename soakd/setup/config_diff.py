"""The keys that differ between two texts of a configuration."""

from collections.abc import Iterator, Mapping
from typing import Any

from soakd.errors import ConfigError
from soakd.setup.toml import parse_toml


def changed_keys(before: str, after: str) -> tuple[str, ...]:
    """Return the keys whose values differ, dotted and in order: "run.duration", "engine.cache.rate".

    An engine or fault that is in only one of them counts as one key. Comments and layout are ignored.

    Args:
        before: the configuration that the run started with.
        after: the current one.

    Returns:
        The keys; ("the whole file",) if one of the texts is not TOML.
    """
    if before == after:
        return ()
    try:
        old, new = (dict(_flat(parse_toml(text, "configuration"), "")) for text in (before, after))
    except ConfigError:
        return ("the whole file",)
    changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    gone = {_table(key) for key in changed} - ({_table(key) for key in old} & {_table(key) for key in new})
    return tuple(sorted({_table(key) if _table(key) in gone else key for key in changed}))


def _flat(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{place}.{key}" if place else key)
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value, 1):
            name = item.get("name", f"{item.get('kind', '')}@{item['target']}" if "target" in item else str(number))
            yield from _flat(item, f"{place}.{name}")
    else:
        yield place, value


def _table(key: str) -> str:
    """Return the engine or fault that a key belongs to; the key itself if it belongs to none."""
    kind, dot, rest = key.partition(".")
    if kind not in ("engine", "fault") or not dot:
        return key
    return f"{kind}.{rest.partition('.')[0]}"
