"""Masks secrets in texts and JSON values, wherever soakd shows or stores them.

Passwords, tokens and keys are recognized by their key, by their place in an address, or by their issuer's format, and
replaced by `***`. Standard library only, so that worker, daemon, judge and commands share it. The time is proportional
to the length of a text, whatever it contains.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from soakd.wire.masking.commands import hide_on_command_lines
from soakd.wire.masking.forms import hide_forms, is_in_key
from soakd.wire.masking.names import QUERY, SEVERAL, kind_of
from soakd.wire.masking.texts import HIDDEN, hide_named, is_harmless

__all__ = [
    "BY_ENGINE",
    "HIDDEN",
    "MARGIN",
    "copied_secret",
    "cut",
    "is_in_key",
    "is_secret_name",
    "mask",
    "masked",
    "tail",
]

MARGIN = 512
"""Characters beyond a cut that are read too, so that a password is still recognized, for example by the @ after it."""


PAIR_NAMES, PAIR_VALUES = ("name", "Name", "key", "Key"), ("value", "Value")
"""The keys of a variable written as a pair."""

BY_ENGINE = "engines"
"""The key of a table by engine names, which may be "jwt" or "session-token"."""


def mask(text: str) -> str:
    """Mask the secrets in a text; masked ones stay unchanged. Cut a long text first, with `cut`."""
    return hide_forms(hide_on_command_lines(hide_named(text)))


def cut(text: str, longest: int) -> str:
    """Return the beginning of a text without its secrets."""
    return mask(text[: longest + MARGIN])[:longest]


def tail(text: str, longest: int) -> str:
    """Return the end of a text without its secrets."""
    return mask(text[-(longest + MARGIN) :])[-longest:]


def is_secret_name(name: str) -> bool:
    """Return whether a key has a secret value: "db_password", "apiKey", "Authorization"."""
    return kind_of(name) is not None


def masked(value: Any, *, numbers: bool = False) -> Any:
    """Mask the secrets in a JSON value, also in its keys.

    Args:
        value: texts, numbers, lists and dicts.
        numbers: also mask numbers under a secret key; for configurations, not for readings.
    """
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        named = _kind_of_pair(value)
        if named is not None:
            value = {**value, **{key: _hidden(value[key], named, numbers) for key in PAIR_VALUES if key in value}}
        return {_key(key): _entry(key, entry, numbers) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return _items(value, numbers)
    return value


def copied_secret(value: Any) -> str | None:
    """Return the key of a secret that was masked when the value was written; "" if it has no key, None if none was."""
    if isinstance(value, str):
        return "" if value == HIDDEN or f"{HIDDEN}@" in value else None
    if isinstance(value, Mapping):
        found = ((key, copied_secret(entry)) for key, entry in value.items())
        return next((str(key) if inner == "" else f"{key}.{inner}" for key, inner in found if inner is not None), None)
    if isinstance(value, list | tuple):
        return next((inner for entry in value if (inner := copied_secret(entry)) is not None), None)
    return None


def _key(key: Any) -> Any:
    return _name(key) if isinstance(key, str) else key


@lru_cache(maxsize=1024)
def _name(key: str) -> str:
    """Mask the secrets in a name; cached, because the same hundred names are in every sample."""
    return mask(key)


def _entry(key: Any, value: Any, numbers: bool) -> Any:
    if key == BY_ENGINE and isinstance(value, Mapping):
        return {
            _key(name): masked(inner, numbers=numbers) if isinstance(inner, Mapping) else _entry(name, inner, numbers)
            for name, inner in value.items()
        }
    kind = kind_of(key) if isinstance(key, str) else None
    return masked(value, numbers=numbers) if kind is None else _hidden(value, kind, numbers)


def _kind_of_pair(value: Mapping[Any, Any]) -> str | None:
    """Return the kind of the "value" next to a "name", as in lists of variables; None if it is not a secret."""
    if not any(key in value for key in PAIR_VALUES):
        return None
    names = (value.get(key) for key in PAIR_NAMES)
    kinds = (kind_of(name) for name in names if isinstance(name, str))
    return next((kind for kind in kinds if kind not in (None, QUERY)), None)


def _items(values: list[Any] | tuple[Any, ...], numbers: bool) -> list[Any]:
    """Mask the secrets in a list, including the value after "--password" in a list of arguments."""
    shown: list[Any] = []
    flag = False
    for value in values:
        hide = flag and isinstance(value, str) and not value.startswith("-")
        shown.append(HIDDEN if hide else masked(value, numbers=numbers))
        flag = isinstance(value, str) and value.startswith("--") and is_secret_name(value)
    return shown


def _hidden(value: Any, kind: str, numbers: bool) -> Any:
    """Mask every text below a secret key."""
    if isinstance(value, str):
        harmless = is_harmless(value, kind) or (kind == SEVERAL and value.isdigit())
        return value if harmless else HIDDEN
    if isinstance(value, Mapping):
        return {_key(key): _hidden(entry, kind, numbers) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(entry, kind, numbers) for entry in value]
    return HIDDEN if numbers and type(value) in (int, float) else value
