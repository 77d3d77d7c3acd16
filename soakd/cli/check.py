"""`soakd check`: finds everything that would stop a run, and shows what the run could detect.

Imports that start something or are slow happen where they are needed: a plain check is quick.
"""

import argparse
import sys
from collections.abc import Iterator

from soakd.cli.planning import plan_of, run_path, try_engines
from soakd.daemon import preflight
from soakd.daemon.preflight import Finding
from soakd.errors import ConfigError
from soakd.plaintext import escaped, escaped_lines
from soakd.record.run_folder import to_json
from soakd.setup.plan import Plan
from soakd.setup.settings import Retention
from soakd.wire.masking import mask

NOT_TRIED = "engines were not started: soakd check --try starts each one and performs one operation"


def check(options: argparse.Namespace) -> int:
    """Report everything that would stop the run, and what it could detect."""
    try:
        plan = plan_of(options)
    except ConfigError as error:
        if not options.json:
            raise
        return _tell(options, [Finding("error", problem) for problem in error.problems])
    findings = list(preflight.check_host(plan, run_path(plan, options)))
    findings += preflight.check_preparation(watch=options.try_engines)
    findings += _retention(plan, options)
    findings += preflight.check_environments(plan)
    if options.try_engines:
        known = {finding.text for finding in findings}
        found = try_engines(plan, urls=options.try_urls)
        findings += (as_asked(finding) for finding in found if finding.text not in known)
    else:
        findings += preflight.check_factories(plan)
        findings.append(Finding("note", NOT_TRIED))
    findings += preflight.outlook(plan)
    if options.notify:
        findings += _try_notify(plan)
    return _tell(options, findings)


def as_asked(finding: Finding) -> Finding:
    """Turn a trial's warnings into errors: a run may continue with an engine that raised once, a check reports it."""
    return Finding("error", finding.text) if finding.level == "warning" else finding


def _tell(options: argparse.Namespace, findings: list[Finding]) -> int:
    errors = [finding for finding in findings if finding.level == "error"]
    if options.json:
        told = [{"level": finding.level, "text": mask(finding.text)} for finding in findings]
        sys.stdout.write(to_json({"config": options.config, "ready": not errors, "findings": told}))
        return 2 if errors else 0
    for finding in findings:
        print(f"{finding.level:8}{escaped_lines(mask(finding.text))}")
    count = f"{len(errors)} error{'' if len(errors) == 1 else 's'}"
    print(escaped(f"{options.config}: {count if errors else 'ready to run'}"))
    return 2 if errors else 0


def _retention(plan: Plan, options: argparse.Namespace) -> Iterator[Finding]:
    """Return notes on the old runs that a new one would remove."""
    if options.run_dir or plan.config.retention == Retention():
        return
    from soakd.cli.old_runs import beyond_retention, kept  # reads the existing journals

    for one in beyond_retention(plan, options):
        said = f"{one.run.path} is removed when a run begins: {one.why}" if one.is_finished else kept(one)
        yield Finding("note", f"retention: {said}")


def _try_notify(plan: Plan) -> list[Finding]:
    """Send a test event to the recipients in `[notify]`."""
    import asyncio
    import os

    from soakd.daemon import notify

    about = {"name": plan.config.run.name, "host": os.uname().nodename}
    reached = asyncio.run(notify.try_channels(plan.config.notify, about))
    if not reached:
        return [Finding("note", "notify: no command and no webhook is configured")]
    return [
        Finding("note" if why is None else "error", f"notify: {channel}: {why or 'the test event arrived'}")
        for channel, why in reached.items()
    ]
