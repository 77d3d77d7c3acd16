"""A complete folder from the first minute of a run: configuration, environment, an INCOMPLETE verdict."""

import hashlib
from pathlib import Path
from typing import Any

from soakd.daemon.judge_process import first_verdict
from soakd.record import kept_secrets, run_folder, verdict_file
from soakd.record.run_folder import RunDir
from soakd.setup.plan import Plan
from soakd.setup.plan_json import plan_as_dict
from soakd.wire.masking import masked


def write_first_files(plan: Plan, run: RunDir) -> dict[str, Any]:
    """Write the first files of a new run; return what the journal keeps of its beginning.

    Raises:
        JournalError: they cannot be written.
    """
    config = plan.config
    environment = masked(run_folder.environment(Path(config.source).resolve().parent))
    run_folder.write_atomically(run.path / run_folder.CONFIG, config.text)
    kept_secrets.keep(run.path, plan)
    run_folder.write_atomically(run.path / run_folder.ENVIRONMENT, run_folder.to_json(environment))
    verdict_file.write(run, first_verdict(run.run_id))
    sha256 = hashlib.sha256(config.text.encode()).hexdigest()
    return {"run_id": run.run_id, "plan": plan_as_dict(plan), "environment": environment, "config_sha256": sha256}
