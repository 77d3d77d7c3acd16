from pathlib import Path

import pytest

from soakd.daemon.preflight import check_host
from soakd.errors import ConfigError
from soakd.record.kept_secrets import forget, keep, kept_notify
from soakd.record.run_folder import NOTIFY
from soakd.setup import config
from soakd.setup.notify import without_secrets
from soakd.setup.plan import make_plan
from soakd.setup.plan_json import plan_as_dict, plan_from_dict
from soakd.setup.settings import Config, Notify

URL = "https://hooks.example.com/services/T0/B0/secret"
MINIMAL = '[run]\nduration = "1h"\n[[engine]]\nname = "a"\nkind = "control.null"\n'


def parsed(table: str, **more: object) -> Config:
    return config.parse(f"{MINIMAL}[notify]\n{table}\n", source="a.toml", folder=Path("/configs"), **more)  # type: ignore[arg-type]


def test_who_is_told_is_read_with_its_defaults() -> None:
    notify = parsed(f'webhook = "{URL}"\ncommand = ["./tell", "ops"]').notify
    assert notify == Notify(command=("/configs/tell", "ops"), webhook=URL)
    assert notify.on == ("verdict", "incident", "end")


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ('on = ["verdicts"]', "on: must be a list of these: verdict, incident, end"),
        ('webhook = "ftp://host/x"', "webhook: must be an address such as"),
        ('webhook = "https://"', "webhook: must be an address such as"),
        ('webhook = "https://host/a b"', "webhook: must be an address such as"),
        ('webhook = "https://host:99999/secret"', "webhook: must be an address such as"),
        ('webhook = "https://hooks.example.com/***"', "this is a copy"),
        ('webhook = "https://host/\\u0073ecret"', "without escapes"),
        ('timeout = "10min"', "timeout: must be"),
        ('colour = "red"', 'unknown key "colour"'),
    ],
)
def test_what_is_wrong_is_said_without_the_address(table: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(table)
    assert why in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_address_is_in_no_copy_of_the_configuration() -> None:
    override = f"notify.webhook={URL}x"
    for found in (parsed(f'webhook = "{URL}"'), parsed("", overrides=[override])):
        assert found.notify.webhook
        assert found.notify.webhook.startswith(URL)
        plan = make_plan(found)
        for copy in (found.text, str(found.overrides), str(plan_as_dict(plan)), repr(found)):
            assert "secret" not in copy
        assert "https://hooks.example.com/***" in found.text + str(found.overrides)
        assert plan_from_dict(plan_as_dict(plan)).config.notify.webhook is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, "https://hooks.example.com/***"),
        ("http://user:pass@host:8080/", "http://host:8080/***"),
        ("https://host?key=1", "https://host/***"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_of_an_address_only_its_host_is_shown(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


def test_a_daemon_that_resumes_the_run_tells_whom_the_one_before_told(tmp_path: Path) -> None:
    plan = make_plan(parsed(f'webhook = "{URL}"\ncommand = "tell"\non = "end"\ntimeout = "3s"'))
    settings = Notify(command=("tell",), webhook=URL, on=("end",), timeout_s=3.0)
    keep(tmp_path, plan)
    assert (tmp_path / NOTIFY).stat().st_mode & 0o777 == 0o600
    assert kept_notify(tmp_path) == settings
    forget(tmp_path)
    assert (kept_notify(tmp_path), list(tmp_path.iterdir())) == (None, [])


def test_where_nobody_is_told_nothing_is_kept(tmp_path: Path) -> None:
    keep(tmp_path, make_plan(parsed("")))
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_is_not_there_and_an_open_address_are_found_beforehand(tmp_path: Path) -> None:
    plan = make_plan(parsed('webhook = "http://hooks.example.com/secret"\ncommand = "no-such-program"'))
    found = [(f.level, f.text) for f in check_host(plan, tmp_path / "run") if f.text.startswith("notify")]
    assert [level for level, _ in found] == ["error", "warning"]
    assert "no-such-program" in found[0][1]
    assert "secret" not in str(found)
