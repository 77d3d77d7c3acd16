"""The verdict file: written with a checksum, and refused if the checksum does not match."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soakd.errors import BrokenVerdictError, JournalError
from soakd.record import run_folder
from soakd.verdict.types import Verdict

CHECKSUM = "sha256"
"""The key of the checksum of everything else in the file, as JSON with sorted keys, without spaces, in ASCII."""
NOT_SEALED = "not sealed: it has no checksum of its own, as older versions of soakd wrote it"


@dataclass(frozen=True, slots=True)
class VerdictFile:
    """The content of a verdict file."""

    text: str
    content: dict[str, Any]
    """As the file has it, with what only newer versions know."""
    verdict: Verdict

    @property
    def is_sealed(self) -> bool:
        """Whether the file has a checksum; a file whose checksum does not match is never read."""
        return CHECKSUM in self.content


def write(run: run_folder.RunDir, verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Write the verdict of a run with its checksum; return what is read back.

    Raises:
        JournalError: it cannot be written; the old file is kept.
    """
    content: dict[str, Any] = json.loads(run_folder.to_json({k: v for k, v in verdict.items() if k != CHECKSUM}))
    content[CHECKSUM] = checksum(content)
    run_folder.write_atomically(run.verdict, run_folder.to_json(content))
    return content


def read(run: run_folder.RunDir) -> VerdictFile:
    """Read the verdict file of a run.

    Raises:
        BrokenVerdictError: it is not a verdict, or was changed after it was written.
        JournalError: it is missing, or cannot be read.
    """
    path, anew = run.verdict, f"soakd judge {run.path} writes it anew"
    try:
        text = _text(path)
        content = json.loads(text, object_pairs_hook=_without_doubles)
    except OSError as error:
        raise JournalError(f"{path}: cannot be read ({error.strerror or error}): {anew}") from error
    except (ValueError, RecursionError) as error:
        raise BrokenVerdictError(f"{path}: is no whole verdict ({error}): {anew}") from error
    if not isinstance(content, dict):
        raise BrokenVerdictError(f"{path}: is no verdict: {anew}")
    if CHECKSUM in content and content[CHECKSUM] != checksum(content):
        raise BrokenVerdictError(f"{path}: was changed after soakd wrote it (its sha256 does not fit): {anew}")
    try:
        return VerdictFile(text, content, Verdict.from_dict(content))
    except ValueError as error:
        raise BrokenVerdictError(f"{path}: is no verdict ({error}): {anew}") from error


def checksum(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a verdict, its checksum left out."""
    rest = {key: value for key, value in content.items() if key != CHECKSUM}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def _text(path: Path) -> str:
    if path.exists() and not path.is_file():  # a pipe would block the reader
        raise OSError(f"{path.name} is not a regular file")
    return path.read_text(encoding="utf-8")


def _without_doubles(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a duplicate key: readers differ in which value they use."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found
