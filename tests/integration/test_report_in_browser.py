import shutil
import subprocess
from pathlib import Path

import pytest

from soakd import reporting
from tests.recorded import Story, per_operation
from tests.written import recorded_run, verdict_of


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on this host")
def test_a_browser_without_a_network_shows_it(tmp_path: Path) -> None:
    leaking = recorded_run(tmp_path / "run", mine=Story(python=per_operation(100), restarts=(60.0,)))
    [html, *_] = reporting.write_report(leaking, verdict_of(leaking), output=tmp_path / "report.html")
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom",
        "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9", "--enable-logging=stderr", "--v=0",
        f"--user-data-dir={tmp_path / 'profile'}", html.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "What happened when" in done.stdout, done.stderr[-2000:]
    assert done.stdout.count("<svg") > 20
    assert [line for line in done.stderr.splitlines() if ":CONSOLE" in line] == []
