"""The table of engine kinds: default role, options, driver. Pure data.

The configuration is checked against it without importing an engine; the worker's adapters are in `engines.registry`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from soakd.units import parse_duration
from soakd.wire import addresses
from soakd.wire.given_files import check_given
from soakd.wire.policies import LARGEST_FILE_BYTES
from soakd.wire.spec import Role

OptionType = Literal[
    "whole", "number", "duration", "text", "texts", "path", "paths", "engine", "yes/no", "url", "program", "backend"
]
ServerKind = Literal["opa", "redis"]

OPA_VERSION = "1.18.1"
"""The release of OPA that soakd is tested with; `tools/get-opa.sh` builds it."""


PROFILE_RATES: Mapping[str, float] = {
    "baseline": 100.0, "target": 2_000.0, "stress": 5_000.0, "extreme": 10_000.0, "spike": 1_000.0, "step": 1_000.0,
}  # fmt: skip
"""Operations per second, by profile, if a configuration sets no rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionInfo:
    """One option of a kind: the values that it takes, and what it is for."""

    type: OptionType
    doc: str
    default: Any = None
    least: float | None = None
    most: float | None = None
    for_server: bool = False
    """Concerns the engine's server: for the daemon and the judge, not sent to the worker."""
    needed: bool = False
    """Required, unless one of the options in `unless` is given."""
    unless: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    """The schemes allowed in a url, such as "https"."""

    def read(self, value: object, folder: Path) -> Any:
        """Check a value and convert it to base units; relative paths start at `folder`.

        Raises:
            ValueError: with the rule that the value breaks.
        """
        match self.type:
            case "whole" | "number":
                return self._read_number(value)
            case "url":
                return addresses.check(_text(value, "an address"), self.schemes)
            case "path":
                return str(_file(_text(value, "a path"), folder, LARGEST_FILE_BYTES))
            case "paths":
                items = value if isinstance(value, list) else [value]
                return [str(_file_or_folder(_text(item, "a path"), folder)) for item in items]
            case "program":
                return _program(_text(value, "a program's name or path"), folder)
            case _:
                return _READ[self.type](value)

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


def _duration(value: object) -> float:
    return parse_duration(_text(value, 'a duration such as "5min"'))


def _words(value: object) -> str:
    return _text(value, "a text in quotes")


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) and "\0" not in item for item in value):
        raise ValueError(f"must be a list of texts, got {value!r}")
    return list(value)


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, got {value!r}")
    return value


def _backend(value: object) -> str:
    if value != "private":
        raise ValueError(f'must be "private", got {value!r}; to use a running server, set url')
    return "private"


_READ: Mapping[str, Callable[[object], Any]] = {
    "duration": _duration, "text": _words, "texts": _texts, "engine": _words, "yes/no": _yes_or_no, "backend": _backend,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class KindInfo:
    """One kind of engine."""

    doc: str
    default_role: Role
    options: Mapping[str, OptionInfo] = field(default_factory=dict)
    needs_factory: bool = False
    server: ServerKind | None = None
    """The kind of server process that its engines talk to."""


_CACHE = {
    "capacity": OptionInfo(
        type="whole", default=10_000, least=1, doc="entries; the least recently used one is evicted"
    ),
    "ttl": OptionInfo(type="duration", doc="time to live of an entry; none by default"),
}
_RELOADED_POLICY = {
    "policy": OptionInfo(
        type="paths",
        needed=True,
        unless=("url",),
        doc=".rego files, or folders of them; required unless `url` is set",
    ),
    "rule": OptionInfo(type="text", needed=True, doc='the rule to decide, such as "data.rbac.allow"; required'),
    "data": OptionInfo(type="path", doc="a JSON document for `data`"),
    "inputs": OptionInfo(type="path", doc="recorded inputs instead of generated ones, one JSON object per line"),
    "reload_every": OptionInfo(type="duration", doc="how often to reload the policy, while decisions continue"),
}
_CLIENT = {
    "timeout": OptionInfo(type="duration", default=1.0, doc="an attempt that takes longer fails"),
    "retries": OptionInfo(
        type="whole", default=2, least=0, most=100, doc="retries after a failed attempt; each is counted"
    ),
    "connections": OptionInfo(type="whole", default=16, least=1, most=10_000, doc="the most connections at one time"),
}
_SERVER = {
    "backend": OptionInfo(type="backend", default="private", for_server=True, doc="soakd starts a private server"),
    "binary": OptionInfo(type="program", for_server=True, doc="the server's program, if not the default one"),
    "args": OptionInfo(type="texts", for_server=True, doc="additional arguments for the server's command line"),
    "judge_server": OptionInfo(
        type="yes/no",
        default=False,
        for_server=True,
        doc="the server's checks decide the verdict, whatever the engine's role",
    ),
}


def _url_of(*schemes: str) -> dict[str, OptionInfo]:
    return {"url": OptionInfo(type="url", schemes=schemes, doc="a running server to use instead of a private one")}


KINDS: Mapping[str, KindInfo] = {
    "policy.regorus": KindInfo(doc="Rego in process, in Rust", default_role="subject", options=_RELOADED_POLICY),
    "policy.opa": KindInfo(
        doc="Rego in a real OPA server, over HTTP", default_role="rival", server="opa",
        options=_RELOADED_POLICY | _CLIENT | _url_of("http", "https") | _SERVER | {
            "version": OptionInfo(
                type="text", default=OPA_VERSION, for_server=True,
                doc='the required release of the program; "any" for all',
            ),
        },
    ),
    "cache.native": KindInfo(doc="the Rust cache", default_role="subject", options=_CACHE),
    "cache.python": KindInfo(doc="cachetools", default_role="rival", options=_CACHE),
    "cache.redis": KindInfo(
        doc="a real Redis server", default_role="rival", server="redis",
        options=_CACHE | _CLIENT | _url_of("unix", "redis", "rediss") | _SERVER,
    ),
    "authorize": KindInfo(
        doc="a cache in front of a policy, on two paths", default_role="subject",
        options={
            "policy": OptionInfo(type="engine", doc="policy engine of the new path; required if keys take it"),
            "cache": OptionInfo(type="engine", doc="cache of the new path; required if keys take it"),
            "python_policy": OptionInfo(type="engine", doc="policy engine of the old path; required if keys take it"),
            "python_cache": OptionInfo(type="engine", doc="cache of the old path; required if keys take it"),
            "rollout_ratio": OptionInfo(type="number", default=1.0, least=0, most=1, doc="share of the new path"),
            "compare_ratio": OptionInfo(
                type="number", default=0.0, least=0, most=1, doc="share of decisions made on both paths and compared"
            ),
        },
    ),
    "python": KindInfo(doc="your own operation", default_role="subject", needs_factory=True),
    "control.null": KindInfo(doc="does nothing: must be flat", default_role="control"),
    "control.leak": KindInfo(
        doc="leaks twice the strictest limit: must be caught", default_role="control",
        options={
            "bytes_per_operation": OptionInfo(type="number", least=0, doc="bytes leaked in each operation"),
            "bytes_per_hour": OptionInfo(type="number", least=0, doc="bytes leaked in an hour; give one of the two"),
        },
    ),
}  # fmt: skip


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be {what}, got {value!r}")
    return value


def for_worker(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are sent to a worker."""
    known = KINDS[kind].options
    return {name: value for name, value in options.items() if name not in known or not known[name].for_server}


def _program(text: str, folder: Path) -> str:
    """Return a path relative to the configuration, or a name to be found on PATH."""
    if "/" in text or _resolved(text, folder).is_file():
        return str(_file(text, folder, math.inf))
    return text


def _file_or_folder(text: str, folder: Path) -> Path:
    path = _resolved(text, folder)
    return path if path.is_dir() else _file(text, folder, LARGEST_FILE_BYTES)


def _file(text: str, folder: Path, most_bytes: float) -> Path:
    """Return an existing regular file, so that opening it later cannot block or read without end."""
    path = _resolved(text, folder)
    try:
        check_given(path, most_bytes)
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"no such file: {path}") from None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    return path


def _resolved(text: str, folder: Path) -> Path:
    try:
        return (folder / text).resolve()
    except RuntimeError as error:  # a loop of links
        raise ValueError(f"no such file: {folder / text}: {error}") from error
