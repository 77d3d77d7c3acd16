"""Reads the files of a policy: modules, data, recorded inputs.

Used by a worker, which loads them into its engine or pushes them to a server, and by the daemon, which starts a server
with them.
"""

import json
from pathlib import Path
from typing import Any

from soakd.errors import EngineError
from soakd.wire.given_files import read_given

LONGEST_INPUTS = 1_000_000
LARGEST_FILE_BYTES = 256_000_000
"""The largest file of modules, data or inputs. A worker has all of it in memory before the baseline."""


def read_modules(sources: list[str]) -> dict[str, str]:
    """Read .rego files, also from folders at any depth, as {file: text}; test files (`_test.rego`) are skipped.

    Raises:
        EngineError: a file cannot be read, or there is none.
    """
    modules: dict[str, str] = {}
    for source in map(Path, sources):
        for file in sorted(source.rglob("*.rego")) if source.is_dir() else [source]:
            if not file.name.endswith("_test.rego"):
                modules[str(file)] = _text_of(file)
    if not modules:
        raise EngineError(f"no .rego file in {', '.join(sources)}")
    return modules


def read_data(path: str | None) -> Any:
    """Read the JSON document for `data`; None if there is none.

    Raises:
        EngineError: it cannot be read, or is not a JSON object.
    """
    if path is None:
        return None
    try:
        data = json.loads(_text_of(Path(path)))
    except (ValueError, RecursionError) as error:
        raise EngineError(f"{path}: not JSON: {error}") from error
    if not isinstance(data, dict):
        raise EngineError(f"{path}: must be a JSON object, got {type(data).__name__}")
    return data


def read_inputs(path: str) -> list[dict[str, Any]]:
    """Read recorded inputs, one JSON object per line; empty lines are skipped.

    Raises:
        EngineError: it cannot be read, a line is not a JSON object, or there is no input or more than a million.
    """
    inputs: list[dict[str, Any]] = []
    for number, line in enumerate(_text_of(Path(path)).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise EngineError(f"{path}:{number}: not JSON: {error}") from error
        if not isinstance(value, dict):
            raise EngineError(f"{path}:{number}: must be a JSON object, got {type(value).__name__}")
        inputs.append(value)
        if len(inputs) > LONGEST_INPUTS:
            raise EngineError(f"{path}: more than {LONGEST_INPUTS:,} inputs")
    if not inputs:
        raise EngineError(f"{path}: no inputs in it")
    return inputs


def opa_id(file: str) -> str:
    """Return the id that OPA gives a module at its start, so that a later push replaces it."""
    return file.strip("/")


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")


def _text_of(path: Path) -> str:
    try:
        return read_given(path, LARGEST_FILE_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
