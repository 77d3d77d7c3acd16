"""Secrets of a configuration: in no copy of it, and there again for whoever goes on with the run."""

import dataclasses
import json
from pathlib import Path

import pytest

from soakd.errors import ConfigError, JournalError
from soakd.record.kept_secrets import forget, keep, restored
from soakd.record.run_folder import SECRETS
from soakd.setup.config import parse
from soakd.setup.config_diff import changed_keys
from soakd.setup.notify import kept_text
from soakd.setup.plan import Plan, make_plan
from soakd.setup.plan_json import plan_as_dict, plan_from_dict

TEXT = """
[run]
duration = "10min"

[[engine]]
name = "cache"
kind = "cache.redis"
options = { url = "redis://:hunter2%2Fhunter2@localhost:6379/0" }

[[engine]]
name = "own"
kind = "python"
factory = "package:make"
options = { db_password = "hunter2", api = { apiKey = "hunter2", size = 3 }, token = 4711, keys = ["a"] }
"""
OVERRIDE = "engine.own.options.client_secret=hunter2"


def plan() -> Plan:
    return make_plan(parse(TEXT, source="soak.toml", folder=Path(), overrides=[OVERRIDE]))


def as_it_was(made: Plan) -> Plan:
    """Write a plan and read it again, as soakd did before secrets were hidden."""
    return plan_from_dict(json.loads(json.dumps(dataclasses.asdict(made))))


def test_no_copy_of_a_configuration_has_a_secret_of_it() -> None:
    made = plan()
    kept = json.dumps(plan_as_dict(made)) + made.config.text + str(made.config.overrides)
    assert "hunter2" not in kept
    assert "4711" not in kept
    assert made.engines[0].options["url"] == "redis://:hunter2%2Fhunter2@localhost:6379/0"
    assert made.engines[1].options["client_secret"] == "hunter2"


def test_the_copy_is_still_a_configuration_and_is_refused_as_one_to_run() -> None:
    with pytest.raises(ConfigError, match=r"engine\.options\.url: this is a copy"):
        parse(plan().config.text, source="soak.toml", folder=Path())


def test_a_file_with_secrets_that_did_not_change_is_not_said_to_have_changed() -> None:
    made = plan()
    assert changed_keys(made.config.text, kept_text(TEXT, made.config.notify)) == ()


def test_a_daemon_that_resumes_the_run_has_its_secrets_again(tmp_path: Path) -> None:
    made = plan()
    keep(tmp_path, made)
    assert (tmp_path / SECRETS).stat().st_mode & 0o777 == 0o600
    read = plan_from_dict(json.loads(json.dumps(plan_as_dict(made))))
    assert restored(tmp_path, read) == as_it_was(made)
    forget(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(JournalError, match="this run cannot be resumed"):
        restored(tmp_path, read)


def test_a_plan_of_an_older_soakd_is_resumed_as_it_is(tmp_path: Path) -> None:
    assert restored(tmp_path, as_it_was(plan())) == as_it_was(plan())


def test_where_there_is_no_secret_nothing_is_kept(tmp_path: Path) -> None:
    text = '[run]\nduration = "10min"\n[[engine]]\nname = "cache"\nkind = "cache.python"\n'
    keep(tmp_path, make_plan(parse(text, source="soak.toml", folder=Path())))
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_a_configuration_shows_no_secret() -> None:
    text = TEXT.replace("redis://:hunter2%2Fhunter2@localhost:6379/0", "ftp://hunter2@localhost")
    with pytest.raises(ConfigError) as error:
        parse(text, source="soak.toml", folder=Path())
    assert "hunter2" not in str(error.value)
