"""Changes by the command line to a configuration before it is read: `--set` and `--duration`."""

from collections.abc import Mapping
from typing import Any

from soakd.errors import ConfigError
from soakd.setup.toml import did_you_mean, parse_toml


def apply_override(raw: dict[str, Any], override: str) -> None:
    """Set one "key=value" in a parsed file.

    Raises:
        ConfigError: it does not name a key, or names an engine that is not in the file.
    """
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
    """Return the engine whose name, which may contain dots, the key begins with; and the rest of the key."""
    listed = raw.get("engine")
    engines = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    named = [item for item in engines if rest.startswith(f"{item.get('name')}.")]
    if not named:
        wanted = rest.partition(".")[0]
        hint = did_you_mean(wanted, (str(item.get("name")) for item in engines))
        raise ConfigError(f'--set {override}: no engine "{wanted}"{hint}')
    engine = max(named, key=lambda item: len(str(item["name"])))
    return engine, rest.removeprefix(f"{engine['name']}.").split(".")


def _toml_value(text: str) -> Any:
    try:
        return parse_toml(f"value = {text}", "--set")["value"]
    except ConfigError:
        return text  # 2MB/h needs no quotes on a command line


def replace_duration(raw: dict[str, Any], duration: str) -> None:
    """Set the length of a run, whatever the file says."""
    run = raw.setdefault("run", {})
    if isinstance(run, dict):
        run.pop("operations", None)
        run["duration"] = duration
