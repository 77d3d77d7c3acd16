"""`soakd export`: writes the samples of a run for other tools."""

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from soakd.errors import PreflightError
from soakd.plaintext import escaped
from soakd.record import run_folder
from soakd.record.recording import Recording
from soakd.record.run_folder import RunDir
from soakd.wire.records import Sample


def export(options: argparse.Namespace) -> int:
    """Write every reading as one row: engine, segment, clocks, signal, value."""
    found = run_folder.find(options.run, Path(options.runs))
    if options.output is None:
        _write_csv(found, sys.stdout)
        return 0
    try:
        with open(options.output, "w", encoding="utf-8", newline="") as file:
            _write_csv(found, file)
    except OSError as error:
        raise PreflightError(f"{options.output}: cannot be written: {error.strerror}") from error
    return 0


def _write_csv(found: RunDir, file: TextIO) -> None:
    writer = csv.writer(file)
    writer.writerow(["engine", "segment", "wall_s", "boot_s", "mono_s", "signal", "value"])
    writer.writerows(_rows(found))


def _rows(found: RunDir) -> Iterator[list[Any]]:
    for sample in Recording.open(found).records("sample"):
        for signal, value in sample.readings.items() if isinstance(sample, Sample) else ():
            yield [escaped(sample.engine or "soakd"), sample.segment, *sample.at, escaped(signal), value]
