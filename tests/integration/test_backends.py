"""Servers of an engine, as the daemon holds them: started, watched, restarted, read, and nothing of them left."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from soakd.daemon.backends import Backends, existing
from soakd.setup import config
from soakd.setup.plan import Plan, make_plan
from soakd.wire.records import Record
from tests.servers import free_port, on_a_loop, opa_binary, opa_server, redis_server

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
POLICIES = ROOT / "configs" / "policies"
WITHIN_S = 60.0
HEAD = """
[run]
duration = "14s"
sample_every = "200ms"
collect_every = "500ms"
snapshot_every = "off"
memory_reserve = "off"
[limits]
growth_per_operation = "1kB"
[supervision]
max_restarts = 2
restart_backoff = "100ms"
hang_after = "1s"
"""


def redis(options: str = "") -> str:
    return f'[[engine]]\nname = "redis"\nkind = "cache.redis"\nrate = 50\n[engine.options]\n{options}\n'


def opa(options: str = "") -> str:
    policy = f'policy = "{POLICIES}/rbac.rego"\ndata = "{POLICIES}/rbac.json"\nrule = "data.rbac.allow"'
    return f'[[engine]]\nname = "opa"\nkind = "policy.opa"\nrate = 50\n[engine.options]\n{policy}\n{options}\n'


def plan_of(*engines: str) -> Plan:
    return make_plan(config.parse(HEAD + "".join(engines), source="soak.toml", folder=Path.cwd()))


class Heard:
    """What was recorded, and waiting for more of it."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def of(self, what: str, engine: str | None = None) -> list[Record]:
        """Records of a kind, or incidents."""
        return [
            record
            for record in self.records
            if what in (record.kind, record.body.get("what")) and engine in (None, record.engine)
        ]

    async def until(self, what: str, count: int = 1, engine: str | None = None) -> list[Record]:
        async with asyncio.timeout(WITHIN_S):
            while len(self.of(what, engine)) < count:  # noqa: ASYNC110 - the sink is called by the code under test
                await asyncio.sleep(0.01)
        return self.of(what, engine)


@contextlib.asynccontextmanager
async def running(plan: Plan, folder: Path) -> AsyncIterator[tuple[Backends, Heard]]:
    """Run the servers of a plan; in the end no process, socket, port or folder of theirs is left."""
    heard = Heard()
    backends = Backends(plan, heard.records.append, folder)
    tender = asyncio.create_task(backends.run())
    try:
        await asyncio.wait_for(backends.settled(), WITHIN_S)
        backends.sampling.set()
        yield backends, heard
    finally:
        backends.stop()
        await asyncio.wait_for(tender, WITHIN_S)
    assert not folder.exists()  # noqa: ASYNC240 - nobody waits for this loop
    for record in heard.of("server"):
        if record.body["backend"] == "private":
            assert not psutil.pid_exists(record.body["pid"])
            assert not answers(record.body["address"])


def answers(address: str) -> bool:
    scheme, _, rest = address.partition("://")
    with socket.socket(socket.AF_UNIX if scheme == "unix" else socket.AF_INET) as client:
        host, _, port = rest.partition(":")
        try:
            client.connect(rest if scheme == "unix" else (host, int(port)))
        except OSError:
            return False
        return True


@on_a_loop
async def test_private_servers_answer_are_read_and_leave_nothing(tmp_path: Path) -> None:
    async with running(plan_of(redis("capacity = 100"), opa()), tmp_path / "servers") as (
        servers,
        heard,
    ):
        assert all(answers(address) for address in servers.addresses.values())
        for name, least in (("redis", 4), ("opa", 4)):
            (life,) = heard.of("server", name)
            assert life.body["address"] == servers.addresses[name]
            assert {"backend": "private", "read_from": "proc"}.items() <= life.body.items()
            assert life.body["version"][0].isdecimal()
            samples = [record.body for record in await heard.until("sample", least, name)]
            for sample in samples[1:]:
                assert sample["source"] == "server"
                assert sample["rss_bytes"] > sample["rss_anon_bytes"] > 1e6
                assert sample["live_bytes"] > 5e5
                assert {"fds", "threads", "cpu_s_total", "swap_bytes", "probe.server.duration_s"} <= sample.keys()
        assert heard.of("incident") == []


@on_a_loop
async def test_a_server_that_is_killed_comes_back_at_its_address_and_its_recovery_is_timed(tmp_path: Path) -> None:
    plan = plan_of(redis(), opa())
    async with running(plan, tmp_path / "servers") as (servers, heard):
        for name, address in servers.addresses.items():
            os.kill(heard.of("server", name)[0].body["pid"], signal.SIGKILL)
            (recovered,) = await heard.until("server_recovered", engine=name)
            (crash,) = heard.of("server_crash", name)
            assert (crash.segment, crash.body["status"], crash.body["detail"].split(": ")[-1]) == (
                0, -signal.SIGKILL, "killed by SIGKILL",
            )  # fmt: skip
            assert [record.segment for record in heard.of("server", name)] == [0, 1]
            assert heard.of("server_restart", name)[0].segment == recovered.segment == 1
            assert 0.1 <= recovered.body["recovery_s"] < WITHIN_S
            assert servers.addresses[name] == heard.of("server", name)[1].body["address"] == address
            await heard.until("sample", len(heard.of("sample", name)) + 2, name)
            assert heard.of("sample", name)[-1].segment == 1


@on_a_loop
async def test_a_restarted_opa_has_its_policy_before_it_answers(tmp_path: Path) -> None:
    async with running(plan_of(opa()), tmp_path / "servers") as (servers, heard):
        os.kill(heard.of("server")[0].body["pid"], signal.SIGKILL)
        decided = None
        async with asyncio.timeout(WITHIN_S):
            while decided is None:
                decided = await asyncio.to_thread(decision, servers.addresses["opa"])
        assert decided == {"result": False}


def decision(address: str) -> Any:
    """Ask for one decision; None where nobody answers."""
    import urllib.request

    request = urllib.request.Request(f"{address}/v1/data/rbac/allow", data=b'{"input": {"user": "nobody"}}')
    with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5.0) as answer:
        return json.load(answer)
    return None


@on_a_loop
async def test_a_server_that_stands_still_is_a_hang_and_is_replaced(tmp_path: Path) -> None:
    async with running(plan_of(redis()), tmp_path / "servers") as (_, heard):
        pid = heard.of("server")[0].body["pid"]
        os.kill(pid, signal.SIGSTOP)
        (hang,) = await heard.until("server_hang")
        assert (hang.body["pid"], hang.body["status"], "no answer within" in hang.body["detail"]) == (pid, -9, True)
        (recovered,) = await heard.until("server_recovered")
        assert recovered.body["recovery_s"] >= 1.0
        assert heard.of("server_crash") == []


@on_a_loop
async def test_a_server_that_stands_still_for_a_moment_has_recovered_and_goes_on(tmp_path: Path) -> None:
    plan = plan_of(redis()).config.text
    patient = make_plan(config.parse(plan.replace('"1s"', '"1h"'), source="soak.toml", folder=Path.cwd()))
    async with running(patient, tmp_path / "servers") as (servers, heard):
        pid = heard.of("server")[0].body["pid"]
        os.kill(pid, signal.SIGSTOP)
        async with asyncio.timeout(WITHIN_S):
            while servers.servers["redis"]._silent_since_s is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        os.kill(pid, signal.SIGCONT)
        (recovered,) = await heard.until("server_recovered")
        assert (recovered.segment, recovered.body["pid"]) == (0, pid)
        assert {record.body["what"] for record in heard.of("incident")} == {"server_recovered"}


@on_a_loop
async def test_a_server_that_cannot_start_is_given_up_after_its_restarts_and_its_words_are_kept(tmp_path: Path) -> None:
    plan = plan_of(redis('args = ["--maxmemory", "lots"]'))
    async with running(plan, tmp_path / "servers") as (servers, heard):
        failed = heard.of("server_start_failed")
        assert [record.segment for record in failed] == [0, 1, 2]
        assert "ended at once (exit status 1)" in failed[0].body["detail"]
        assert any("maxmemory" in line for line in failed[0].body["stderr"])
        assert len(heard.of("server_gave_up")) == 1
        assert servers.servers["redis"].failure is not None
        assert heard.of("server") == heard.of("sample") == []


DAEMON = """
import asyncio, sys
from pathlib import Path
from soakd.daemon.backends import Backends
from soakd.setup import config
from soakd.setup.plan import make_plan

async def main():
    plan = make_plan(config.parse(sys.argv[1], source="soak.toml", folder=Path.cwd()))
    servers = Backends(plan, lambda record: None, Path(sys.argv[2]))
    tender = asyncio.create_task(servers.run())
    await servers.settled()
    print(*(server._process.pid for server in servers.servers.values()), flush=True)
    await tender

asyncio.run(main())
"""


def test_no_server_outlives_a_daemon_that_is_killed(tmp_path: Path) -> None:
    text = plan_of(redis(), opa()).config.text
    with subprocess.Popen(
        [sys.executable, "-c", DAEMON, text, str(tmp_path / "run" / "servers")], stdout=subprocess.PIPE, cwd=ROOT
    ) as daemon:
        assert daemon.stdout is not None
        servers = [psutil.Process(int(pid)) for pid in daemon.stdout.readline().split()]
        assert len(servers) == 2
        daemon.kill()
    gone, alive = psutil.wait_procs(servers, timeout=WITHIN_S)
    assert (len(gone), alive) == (2, [])
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


@on_a_loop
async def test_an_existing_server_is_read_from_outside_if_it_runs_on_this_host(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    with redis_server(tmp_path / "theirs") as their_redis, opa_server() as their_opa:
        options = redis(f'url = "{their_redis.url}"') + opa(f'url = "{their_opa.url}"')
        async with running(plan_of(options), tmp_path / "servers") as (servers, heard):
            assert servers.addresses == {}
            for name, theirs in (("redis", their_redis), ("opa", their_opa)):
                assert theirs.process is not None
                (life,) = heard.of("server", name)
                told = {"backend": "url", "read_from": "proc", "pid": theirs.process.pid, "address": theirs.url}
                assert told.items() <= life.body.items()
                sample = (await heard.until("sample", 2, name))[1].body
                assert sample["rss_bytes"] > sample["rss_anon_bytes"] > 1e6
                assert sample["live_bytes"] > 5e5
        assert answers(their_redis.url)  # not ours to stop


@on_a_loop
async def test_another_start_of_an_existing_server_is_another_life_and_the_silence_between_is_timed(
    tmp_path: Path,
) -> None:
    with redis_server(tmp_path) as theirs:
        async with running(plan_of(redis(f'url = "{theirs.url}"')), tmp_path / "servers") as (_, heard):
            theirs.kill()
            (hang,) = await heard.until("server_hang")
            assert hang.segment == 0
            theirs.start()
            (recovered,) = await heard.until("server_recovered")
            assert theirs.process is not None
            assert (recovered.segment, recovered.body["pid"]) == (1, theirs.process.pid)
            assert recovered.body["recovery_s"] >= 1.0
            assert [record.segment for record in heard.of("server")] == [0, 1]


@on_a_loop
async def test_a_server_that_is_started_again_between_two_questions_is_another_life_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(existing, "ASK_EVERY_S", 8.0)
    with opa_server() as theirs:
        async with running(plan_of(opa(f'url = "{theirs.url}"')), tmp_path / "servers") as (_, heard):
            theirs.kill()
            theirs.start()
            lives = await heard.until("server", 2)
            assert theirs.process is not None
            assert [(life.segment, life.body["pid"] == theirs.process.pid) for life in lives] == [(0, False), (1, True)]
            assert [incident.segment for incident in heard.of("server_restart")] == [1]
            assert (await heard.until("sample", 1 + len(heard.of("sample"))))[-1].segment == 1


@on_a_loop
async def test_a_server_that_answers_with_an_error_is_reported_with_its_message(tmp_path: Path) -> None:
    short = HEAD + 'start_within = "1s"\nmax_restarts = 0\n'
    plan = make_plan(
        config.parse(
            short.replace("max_restarts = 2\n", "") + redis('args = ["--requirepass", "secret"]'), source="soak.toml",
            folder=tmp_path,
        )
    )  # fmt: skip
    async with running(plan, tmp_path / "servers") as (servers, heard):
        (failed,) = await heard.until("server_start_failed")
        assert failed.body["detail"].startswith("redis: did not answer within 1s: redis answers: NOAUTH ")
        assert "NOAUTH" in str(servers.servers["redis"].failure)


@on_a_loop
async def test_a_server_on_another_host_is_read_by_asking_it_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(existing, "local_process", lambda address, pid: None)
    with redis_server(tmp_path) as theirs:
        async with running(plan_of(redis(f'url = "{theirs.url}"')), tmp_path / "servers") as (_, heard):
            (life,) = heard.of("server")
            assert life.body["read_from"] == "metrics"
            sample = (await heard.until("sample", 2))[1].body
            assert sample["rss_bytes"] > 1e6
            assert sample["live_bytes"] > 5e5
            assert sample["cpu_s_total"] > 0
            assert "rss_anon_bytes" not in sample


# ---------------------------------------------------------------------------------------------------------------------


def soakd(*arguments: str | Path, cwd: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ if path is None else {**os.environ, "PATH": path}
    return subprocess.run(
        [sys.executable, "-m", "soakd", *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False,
        timeout=300, env=environment,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a policy that is right and one that OPA rejects."""
    (tmp_path / "p.rego").write_text("package p\n\nallow := true\n", encoding="utf-8")
    (tmp_path / "bad.rego").write_text("package p\n\nallow if no_such_function(1)\n", encoding="utf-8")
    (tmp_path / "inputs.jsonl").write_text('{"user": 1}\n[1]\n', encoding="utf-8")
    fake = tmp_path / "old-opa"
    fake.write_text("#!/bin/sh\necho 'Version: 1.0.0'\n", encoding="utf-8")
    fake.chmod(0o755)
    return tmp_path


def opa_engine(**options: str) -> str:
    given = {"policy": "p.rego", "rule": "data.p.allow"} | options
    return '[[engine]]\nname = "opa"\nkind = "policy.opa"\nrate = 50\noptions = { ' + ", ".join(
        f'{key} = "{value}"' for key, value in given.items()
    ) + " }\n"  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        (opa_engine(version="0.99.0"), "tools/get-opa.sh 0.99.0"),
        (opa_engine(binary="old-opa"), "old-opa: is OPA 1.0.0, 1.18.1 is pinned: sh "),
        (opa_engine(policy="bad.rego"), "bad.rego:3:10: undefined function no_such_function"),
        (opa_engine(rule="data.p.allowed"), 'rule "data.p.allowed": neither a rule of the policy nor a document'),
        (opa_engine(inputs="inputs.jsonl"), "inputs.jsonl:2: must be a JSON object, got list"),
        (opa_engine(url="http://127.0.0.1:9"), "url: http://127.0.0.1:9: "),
        (opa_engine(url="redis://127.0.0.1:9"), 'url: must begin with http:// or https://, got "'),
        (redis('url = "redis://127.0.0.1:9"'), "url: redis://127.0.0.1:9: "),
        (redis('url = "unix:///no/such.sock"'), "url: unix:///no/such.sock: No such file or directory"),
        (redis('url = "http://127.0.0.1:9"'), "url: must begin with unix:// or redis:// or rediss://"),
        (redis('args = ["--nonsense"]'), 'engine "redis": ended at once (exit status 1)'),
        (redis('binary = "p.rego"'), "p.rego: not a program that can be run, here or on PATH"),
    ],
)
def test_what_is_wrong_with_a_server_is_one_line_and_nothing_is_left_running(
    folder: Path, engine: str, message: str
) -> None:
    opa_binary()  # or say that it is missing
    before = set(psutil.pids())
    (folder / "soak.toml").write_text(HEAD + engine, encoding="utf-8")
    done = soakd("run", "soak.toml", cwd=folder)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message.replace("'", '"') in done.stderr.replace("'", '"')
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not (folder / "runs").exists()
    assert list(left_of(before, str(folder))) == []


def test_a_missing_program_is_named_with_the_command_that_brings_it(folder: Path) -> None:
    (folder / "soak.toml").write_text(HEAD + redis() + opa_engine(version="0.0.1"), encoding="utf-8")
    done = soakd("check", "soak.toml", cwd=folder, path=str(folder))
    assert done.returncode == 2
    assert "no redis-server on PATH: apt-get install -y --no-install-recommends redis-server" in done.stdout
    assert "no OPA 0.0.1 in " in done.stdout
    assert "tools/get-opa.sh 0.0.1" in done.stdout


def test_a_rule_that_a_server_of_ones_own_does_not_have_is_found_before_the_run(folder: Path) -> None:
    with opa_server(str(folder / "p.rego")) as server:
        asked = {
            "right": opa_engine(url=server.url), "wrong": opa_engine(url=server.url + "/", rule="data.p.allowed"),
            "alone": opa_engine(url=server.url, rule="data.q.allow").replace('policy = "p.rego", ', ""),
        }  # fmt: skip
        engines = [text.replace('name = "opa"', f'name = "{name}"') for name, text in asked.items()]
        (folder / "soak.toml").write_text(HEAD + "".join(engines), encoding="utf-8")
        done = soakd("check", "--try", "soak.toml", cwd=folder)
    assert done.returncode == 2, done.stdout + done.stderr
    errors = [line for line in done.stdout.splitlines() if line.startswith("error")]
    assert [error.split(": ", 1)[1] for error in errors] == [
        'rule "data.p.allowed": neither a rule of the policy nor a document of its data',
        'rule "data.q.allow": neither a rule of the policy nor a document of its data',
    ]


def test_a_redis_behind_tls_is_trusted_by_the_daemon_as_by_the_engine(folder: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "ca.pem", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    port = free_port()
    arguments = [
        "--tls-port", str(port), "--tls-cert-file", f"{folder}/ca.pem", "--tls-key-file", f"{folder}/key.pem",
        "--tls-ca-cert-file", f"{folder}/ca.pem", "--tls-auth-clients", "no", "--requirepass", "s3:c/t",
    ]  # fmt: skip
    url = f"rediss://:s3%3Ac%2Ft@localhost:{port}/3"
    urls = {"named": f"{url}?ssl_ca_certs={folder}/ca.pem", "trusting": f"{url}?ssl_cert_reqs=none", "unknown": url}
    engines = [redis(f'url = "{url}"').replace('name = "redis"', f'name = "{name}"') for name, url in urls.items()]
    (folder / "soak.toml").write_text(HEAD + "".join(engines), encoding="utf-8")
    with redis_server(folder, *arguments):
        done = soakd("check", "--try", "soak.toml", cwd=folder)
    errors = [line for line in done.stdout.splitlines() if line.startswith("error")]
    assert len(errors) == 1, done.stdout + done.stderr
    assert f'engine "unknown": url: rediss://localhost:{port}/3: ' in errors[0]
    assert "certificate verify failed" in errors[0]
    assert "s3" not in errors[0]


def left_of(before: set[int], words: str) -> Iterator[str]:
    """Yield the processes that are new and speak of something."""
    for process in psutil.process_iter(["cmdline"]):
        if process.pid not in before and words in " ".join(process.info["cmdline"] or ()):
            yield " ".join(process.info["cmdline"])


@contextlib.contextmanager
def soaking(folder: Path) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """Run a soak up to its load phase; gives the daemon and both servers."""
    (folder / "soak.toml").write_text(HEAD + redis() + opa(), encoding="utf-8")
    command = [sys.executable, "-m", "soakd", "run", "soak.toml", "--run-dir", "run", "--log-format", "json"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as daemon:
        assert daemon.stderr is not None
        try:
            said = ""
            while '"phase": "load"' not in said:
                said = daemon.stderr.readline()
                assert said, "the soak ended before its load phase"
            children = psutil.Process(daemon.pid).children(recursive=True)
            yield daemon, [child for child in children if child.name() in ("opa", "redis-server")]
        finally:
            daemon.kill()


def test_both_servers_killed_in_the_middle_of_a_soak_come_back_and_the_verdict_tells_of_it(tmp_path: Path) -> None:
    with soaking(tmp_path) as (daemon, servers):
        assert {server.name() for server in servers} == {"opa", "redis-server"}
        for server in servers:
            server.kill()
        said = daemon.communicate(timeout=300)
    verdict = json.loads((tmp_path / "run" / "verdict.json").read_text(encoding="utf-8"))
    whats = [(incident["engine"], incident["what"]) for incident in verdict["incidents"]]
    for engine in ("redis", "opa"):
        for what in ("server_crash", "server_restart", "server_recovered"):
            assert whats.count((engine, what)) == 1, (whats, said)
    assert not (tmp_path / "run" / "servers").exists()
    assert daemon.returncode in (0, 3, 4), said


@pytest.mark.parametrize("signals", [1, 2])
def test_a_soak_that_is_interrupted_once_or_twice_leaves_no_server_and_no_folder_of_one(
    tmp_path: Path, signals: int
) -> None:
    with soaking(tmp_path) as (daemon, servers):
        for _ in range(signals):
            daemon.send_signal(signal.SIGINT)
            time.sleep(0.05)  # two at once are one
        daemon.communicate(timeout=300)
        gone, alive = psutil.wait_procs(servers, timeout=WITHIN_S)
    assert (len(gone), alive, daemon.returncode) == (2, [], 128 + signal.SIGINT)
    assert not (tmp_path / "run" / "servers").exists()


def test_a_soak_that_is_killed_leaves_no_server_and_at_most_a_folder_of_its_run(tmp_path: Path) -> None:
    with soaking(tmp_path) as (daemon, servers):
        daemon.kill()
        gone, alive = psutil.wait_procs(servers, timeout=WITHIN_S)
        assert (len(gone), alive) == (2, [])
    assert {path.name for path in tmp_path.iterdir()} == {"run", "soak.toml"}
