"""The table of engine kinds: role by default, options, path. Pure data, known to both stacks.

The configuration is checked against it without importing an engine; the worker finds the adapter in `engines.build`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from soakd.model import Role
from soakd.units import parse_duration

OptionType = Literal["whole", "number", "duration", "text", "path", "paths", "engine", "yes/no"]

PROFILE_RATES: Mapping[str, float] = {
    "baseline": 100.0, "target": 2_000.0, "stress": 5_000.0, "extreme": 10_000.0, "spike": 1_000.0, "step": 1_000.0,
}  # fmt: skip
"""Operations per second where a configuration names a profile and no rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionInfo:
    """One option of a kind: what it takes, and what it is for."""

    type: OptionType
    doc: str
    default: Any = None
    least: float | None = None
    most: float | None = None

    def read(self, value: object, folder: Path) -> Any:
        """Check a value and bring it to base units; relative paths are taken from `folder`.

        Raises:
            ValueError: the rule that the value breaks.
        """
        match self.type:
            case "whole" | "number":
                return self._read_number(value)
            case "duration":
                return parse_duration(_text(value, 'a duration such as "5min"'))
            case "path":
                return str(_existing(_text(value, "a path"), folder))
            case "paths":
                items = value if isinstance(value, list) else [value]
                return [str(_existing(_text(item, "a path"), folder)) for item in items]
            case "yes/no":
                if not isinstance(value, bool):
                    raise ValueError(f"must be true or false, got {value!r}")
                return value
            case _:
                return _text(value, "a text in quotes")

    def _read_number(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int if self.type == "whole" else int | float):
            raise ValueError(f"must be a {'whole ' if self.type == 'whole' else ''}number, got {value!r}")
        if not math.isfinite(value):
            raise ValueError(f"must be a finite number, got {value}")
        if self.least is not None and value < self.least:
            raise ValueError(f"must be at least {self.least:g}, got {value}")
        if self.most is not None and value > self.most:
            raise ValueError(f"must be at most {self.most:g}, got {value}")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class KindInfo:
    """One kind of engine."""

    doc: str
    default_role: Role
    options: Mapping[str, OptionInfo] = field(default_factory=dict)
    needs_factory: bool = False


_CACHE = {
    "capacity": OptionInfo(
        type="whole", default=10_000, least=1, doc="entries; the least recently used one makes room"
    ),
    "ttl": OptionInfo(type="duration", doc="time to live of an entry; none by default"),
}
_POLICY = {
    "policy": OptionInfo(type="paths", doc="a .rego file, several, or a folder of them"),
    "rule": OptionInfo(type="text", doc='the rule to decide, such as "data.rbac.allow"'),
    "data": OptionInfo(type="path", doc="a JSON document for `data`"),
    "reload_every": OptionInfo(type="duration", doc="load the policy again while decisions go on"),
}

KINDS: Mapping[str, KindInfo] = {
    "policy.regorus": KindInfo(doc="Rego in process, in Rust", default_role="subject", options=_POLICY),
    "cache.native": KindInfo(doc="the Rust cache", default_role="subject", options=_CACHE),
    "cache.python": KindInfo(doc="cachetools", default_role="rival", options=_CACHE),
    "authorize": KindInfo(
        doc="a cache in front of a policy, on two paths", default_role="subject",
        options={
            "policy": OptionInfo(type="engine", doc="the policy engine of the new path, by name"),
            "cache": OptionInfo(type="engine", doc="the cache of the new path, by name"),
            "python_policy": OptionInfo(type="engine", doc="the policy engine of the old path, by name"),
            "python_cache": OptionInfo(type="engine", doc="the cache of the old path, by name"),
            "rollout_ratio": OptionInfo(type="number", default=1.0, least=0, most=1, doc="share of the new path"),
        },
    ),
    "python": KindInfo(doc="anybody's own operation", default_role="subject", needs_factory=True),
    "control.null": KindInfo(doc="does nothing: must be flat", default_role="control"),
    "control.leak": KindInfo(
        doc="leaks twice the strictest limit: must be caught", default_role="control",
        options={
            "bytes_per_operation": OptionInfo(type="number", least=0, doc="bytes leaked in each operation"),
            "bytes_per_hour": OptionInfo(type="number", least=0, doc="bytes leaked in an hour"),
        },
    ),
}  # fmt: skip


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be {what}, got {value!r}")
    return value


def _existing(text: str, folder: Path) -> Path:
    path = (folder / text).resolve()
    if not path.exists():
        raise ValueError(f"no such file: {path}")
    return path
