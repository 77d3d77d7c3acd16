"""Finds the program of a server, and checks that it is the pinned release."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from soakd.errors import BackendError
from soakd.setup.engine_kinds import OPA_VERSION, ServerKind

PROJECT = Path(__file__).parents[3]
"""The checkout that soakd runs from, if it does."""
ANSWERS_WITHIN_S = 20.0

_VERSION = re.compile(rb"^Version: *(\S+)", re.MULTILINE)


def find(kind: ServerKind, options: Mapping[str, Any]) -> str:
    """Return the path of a server's program.

    Raises:
        BackendError: there is none; the message has the command that installs it.
    """
    if "binary" in options:
        found = shutil.which(options["binary"])
        if found is None:
            raise BackendError(f"binary: {options['binary']}: not a program that can be run, here or on PATH")
        return str(Path(found).absolute())
    return _find_redis() if kind == "redis" else _find_opa(pinned(options))


def pinned(options: Mapping[str, Any]) -> str:
    """Return the release of OPA that the options ask for; "any" for all."""
    return str(options.get("version", OPA_VERSION))


def check_version(binary: str, wanted: str) -> None:
    """Ask OPA for its release. Some tens of milliseconds.

    Raises:
        BackendError: it is another one than `wanted`, or does not print its release.
    """
    if wanted == "any":
        return
    try:
        done = subprocess.run([binary, "version"], capture_output=True, timeout=ANSWERS_WITHIN_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        why = getattr(error, "strerror", None) or f"no answer within {ANSWERS_WITHIN_S:g}s"
        raise BackendError(f"{binary} version: {why}") from error
    printed = _VERSION.search(done.stdout)
    version = printed[1].decode("utf-8", "replace") if printed else None
    if version != wanted.removeprefix("v"):
        what = f"is OPA {version}" if version else 'does not say which OPA it is ("opa version")'
        raise BackendError(
            f'{binary}: {what}, {wanted} is pinned: {_how_to_get(wanted)}; or set version = "{version or "any"}"'
        )


def _find_opa(version: str) -> str:
    own = PROJECT / ".tools" / f"opa-{OPA_VERSION if version == 'any' else version.removeprefix('v')}" / "opa"
    found = str(own) if own.is_file() else shutil.which("opa")
    if found is None:
        raise BackendError(
            f"no OPA {'' if version == 'any' else version + ' '}in {own.parent} or on PATH: {_how_to_get(version)}"
        )
    return str(Path(found).absolute())


def _find_redis() -> str:
    found = shutil.which("redis-server")
    if found is None:
        raise BackendError("no redis-server on PATH: apt-get install -y --no-install-recommends redis-server")
    return str(Path(found).absolute())


def _how_to_get(version: str) -> str:
    wanted = OPA_VERSION if version == "any" else version.removeprefix("v")
    script = PROJECT / "tools" / "get-opa.sh"
    if script.is_file():
        return f"sh {script}" + ("" if wanted == OPA_VERSION else f" {wanted}")
    return f"CGO_ENABLED=0 go install github.com/open-policy-agent/opa@v{wanted}"
