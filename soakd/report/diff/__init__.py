"""Differences between two runs, from their verdicts, or between two moments of one run, from its heap snapshots."""

from soakd.report.diff.heaps import diff_heaps
from soakd.report.diff.installed import changed_packages
from soakd.report.diff.plans import differences
from soakd.report.diff.runs import diff_runs

__all__ = ["changed_packages", "diff_heaps", "diff_runs", "differences"]
