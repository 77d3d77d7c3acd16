"""The lines and cells of a table of text, separated by comma, semicolon, tab or spaces, as in the header line."""

import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Self

from soakd.errors import ConfigError
from soakd.judge.csvfile.unitnames import base_name


class Lines:
    """The lines of a file, without blank ones and comments; every failure to read is a ConfigError with its line."""

    def __init__(self, path: Path) -> None:
        self.path, self.number = path, 0

    def __enter__(self) -> Self:
        try:
            self._raw = open(self.path, "rb")
            zipped = self._raw.peek(2)[:2] == b"\x1f\x8b"
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error.strerror}") from error
        content = gzip.open(self._raw) if zipped else self._raw
        self._text = io.TextIOWrapper(content, encoding="utf-8-sig", newline="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._text.close()
        self._raw.close()
        if isinstance(error, UnicodeDecodeError):
            raise self.fail("is not UTF-8 text: save it as such") from error
        if isinstance(error, OSError | EOFError | csv.Error | zlib.error):
            raise self.fail(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error

    def __iter__(self) -> Iterator[str]:
        line = "\n"
        for line in self._text:
            self.number += 1
            if not line.isspace() and not line.startswith("#"):
                yield line
        if not line.endswith(("\n", "\r")):
            raise self.fail("the last line has no line break: cut short? (add one if the file is complete)")

    def header(self, skip: int) -> str:
        """Read the first line after `skip` that is not blank, without a leading "#"."""
        for line in self._text:
            self.number += 1
            if self.number > skip and not line.isspace():
                return line.lstrip("# ")
        raise ConfigError(f"{self.path}: is empty" + (f" after the first {skip} lines" if skip else ""))

    def fail(self, what: str) -> ConfigError:
        """Build the error about the line that was read last."""
        return ConfigError(f"{self.path}: {f'line {self.number}: ' if self.number else ''}{what}")


def read_names(lines: Lines, skip: int) -> tuple[list[str], Iterator[list[str]]]:
    """Read the header: the names of the columns, and the rows below it, each as wide as the header."""
    header = lines.header(skip)
    delimiter = max(",;\t", key=header.count)
    rows: Iterator[list[str]]
    if delimiter in header:
        names = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True))
        rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    else:
        below = iter(lines)
        first = next(below, None)
        names = header.split()
        if first is not None and len(names) != len(first.split()):
            names = re.split(r"\s{2,}", header.strip())  # names with spaces in them, as psrecord's
        rows = (line.split(None, len(names) - 1) for line in chain([first] if first else [], below))
    names = [name.strip() for name in names]
    if all(map(is_number, names)):
        raise lines.fail("is data; a header line with the names of the columns is needed above it")
    return names, _of_width(rows, len(names), lines)


def _of_width(rows: Iterator[list[str]], width: int, lines: Lines) -> Iterator[list[str]]:
    for row in rows:
        if len(row) != width:
            raise lines.fail(f"{len(row)} cells where the header has {width}: cut short?")
        yield row


def find(names: Sequence[str], wanted: str | None, usual: Sequence[str], path: Path, flag: str) -> int:
    """Find a column by its name, by its number from 1, or by the usual names."""
    if wanted is None:
        found = _find_usual(names, usual, path, flag)
    elif names.count(wanted) > 1:
        raise ConfigError(f'{path}: {flag}: {names.count(wanted)} columns are named "{wanted}": give its number')
    elif wanted in names:
        found = names.index(wanted)
    else:
        found = int(wanted) - 1 if wanted.isdecimal() and 1 <= int(wanted) <= len(names) else None
    if found is None:
        given = f'no column "{wanted}"' if wanted else "which column?"
        raise ConfigError(f"{path}: {flag}: {given}; columns: {', '.join(names)}")
    return found


def _find_usual(names: Sequence[str], usual: Sequence[str], path: Path, flag: str) -> int | None:
    lower = [name.lower() for name in names]
    exact = next((name for name in usual if name in lower), None)
    if exact is not None and lower.count(exact) > 1:
        raise ConfigError(f'{path}: {flag}: {lower.count(exact)} columns are named "{exact}": give its number')
    if exact is not None:
        return lower.index(exact)
    bases = [base_name(name) for name in names]
    found = [at for at, base in enumerate(bases) if base in usual]
    if len(found) > 1:
        raise ConfigError(f"{path}: {flag}: which of {', '.join(names[at] for at in found)}?")
    return found[0] if found else None


def number(cell: str, lines: Lines) -> float:
    """Read a finite number.

    Raises:
        ConfigError: it is not one; names the line.
    """
    try:
        value = float(cell)
    except ValueError as error:
        raise lines.fail(f'"{cell}" is not a number') from error
    if not math.isfinite(value) or "_" in cell:
        raise lines.fail(f'"{cell}" is not a finite number')
    return value


def is_number(cell: str) -> bool:
    """Return whether a cell is a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True
