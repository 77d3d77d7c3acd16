"""The first steps of `soakd run` and `soakd check`: the plan, the folder, and a trial of every engine."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from soakd.daemon.preflight import Finding
from soakd.record.run_folder import default_path
from soakd.setup.plan import Plan, load_plan


def plan_of(options: argparse.Namespace) -> Plan:
    """Read the configuration that a command names, and plan its run.

    Raises:
        ConfigError: lists every error.
    """
    return load_plan(Path(options.config), duration=options.duration, overrides=options.set, only=options.only)


def run_path(plan: Plan, options: argparse.Namespace) -> Path:
    """Return the folder for a new run."""
    if options.run_dir:
        return Path(options.run_dir)
    return default_path(Path(options.runs), plan.config.run.name, datetime.now(UTC))


def try_engines(plan: Plan, *, urls: bool) -> list[Finding]:
    """Start every engine and perform one operation of it; see `preflight.trial`."""
    import asyncio

    from soakd.daemon.preflight.trial import (
        check_engines,  # server clients and processes: a third of a second of imports
    )

    async def found() -> list[Finding]:
        return [finding async for finding in check_engines(plan, urls=urls)]

    return asyncio.run(found())
