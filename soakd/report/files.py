"""A run's folder -> its report. It runs in a process of its own: curves take arithmetic on whole runs."""

import contextlib
import importlib.metadata
from pathlib import Path

from soakd.record import journal, run_folder
from soakd.record.own_files import open_to_read
from soakd.record.run_folder import RunDir
from soakd.report import summaries
from soakd.report.call_trees import Flame, collect
from soakd.report.curves.reading import read_curves
from soakd.report.flamegraph import fragment
from soakd.report.html.material import Material
from soakd.report.html.page import page
from soakd.verdict.types import Verdict
from soakd.wire.masking import mask, masked


def write_report(run: RunDir, verdict: Verdict, *, output: Path | None) -> list[Path]:
    """Write the report of a run from its folder alone, as HTML, Markdown and JUnit, without secrets.

    Args:
        run: the run.
        verdict: its verdict.
        output: where the HTML goes; None for the run's folder.

    Returns:
        The files.

    Raises:
        JournalError: the journal cannot be read, or a file not be written.
    """
    verdict = summaries.without_secrets(verdict)
    curves = read_curves(run, verdict)
    config = journal.read_meta(run.journal)["plan"]["config"]
    material = Material(
        verdict=verdict, curves=curves, config=_config_text(run.path / run_folder.CONFIG),
        overrides=masked(config.get("overrides") or ()), seed=(config.get("run") or {}).get("seed"), version=_version(),
        flames=_flames(run),
    )  # fmt: skip
    path = output or run.path / run_folder.REPORT
    run_folder.write_atomically(path, page(material))
    summaries.write(verdict, run)
    return [path, run.path / run_folder.SUMMARY, run.path / run_folder.JUNIT]


def _flames(run: RunDir) -> dict[str, str]:
    """Return the flame graphs by engine; none where the looks cannot be read."""
    drawn: dict[str, list[Flame]] = {}
    with contextlib.suppress(KeyError, TypeError, ValueError):
        for flame in collect(run):
            drawn.setdefault(flame.engine, []).append(flame)
    return {engine: fragment(flames) for engine, flames in drawn.items()}


def _version() -> str:
    try:
        return importlib.metadata.version("soakd")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _config_text(path: Path) -> str | None:
    try:
        with open_to_read(path, errors="replace") as file:
            return mask(file.read())
    except OSError:
        return None
