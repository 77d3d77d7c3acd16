"""A whole soak of one engine in a process of its own, for tests that do something to it meanwhile."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from soakd.errors import JournalError
from soakd.record import journal
from tests.booted import wait_for

ENGINES = Path(__file__).parent / "engines"
CONFIG = """
[run]
name = "exhausted"
duration = "{duration}s"
sample_every = "200ms"
collect_every = "500ms"
snapshot_every = "off"
memory_reserve = "off"
controls_off = ["null", "leak"]  # what is done to the soak is seen at one engine
{run}
[limits]
growth_per_operation = "64B"
[supervision]
restart_backoff = "100ms"
max_restarts = 2
hang_after = "3s"
[[engine]]
name = "mine"
kind = "python"
factory = "{factory}"
path = ["{path}"]
rate = {rate}
options = {options}
"""


class Soak:
    """A soak of one engine, in a process of its own."""

    def __init__(
        self, folder: Path, factory: str = "leaking:global_list", options: str = "{ keep = false }", *,
        duration: int = 16, rate: int = 200, more: str = "", run_dir: Path | None = None, wrap: tuple[str, ...] = (),
        **environment: str,
    ) -> None:  # fmt: skip
        text = CONFIG.format(duration=duration, factory=factory, path=ENGINES, rate=rate, options=options, run=more)
        (folder / "soak.toml").write_text(text, encoding="utf-8")
        self.run = run_dir or folder / "run"
        command = [*wrap, sys.executable, "-m", "soakd", "run", "soak.toml", "--run-dir", str(self.run)]
        self.process = psutil.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, **environment},
        )  # fmt: skip

    def wait_for_load(self) -> None:
        wait_for(self._is_loaded, 120, "the load phase")

    def finish(self) -> int:
        """Wait for the end; the journal opens, whatever happened."""
        self.said = "".join(self.process.communicate(timeout=300))
        journal.check_whole(self.run / "run.db")
        return int(self.process.returncode)

    @property
    def verdict(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run / "verdict.json").read_text(encoding="utf-8"))
        return found

    def check(self, check_id: str, engine: str = "mine") -> dict[str, Any]:
        checks = [self.verdict["checks"]] if not engine else []
        checks += [e["checks"] for e in self.verdict["engines"] if e["name"] == engine]
        found: dict[str, Any] = next(c for c in checks[0] if c["id"] == check_id)
        return found

    def incidents(self, engine: str | None = "mine") -> list[dict[str, Any]]:
        return [i for i in self.verdict["incidents"] if i.get("engine") == engine]

    def told(self) -> list[str]:
        """The incidents that the journal has of the run itself."""
        return [str(r.body["what"]) for r in journal.read_records(self.run / "run.db", "incident", engine="")]

    def everything(self) -> list[psutil.Process]:
        """The daemon and all below it."""
        return [self.process, *self.process.children(recursive=True)]

    def _is_loaded(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError("".join(self.process.communicate()))
        try:
            phases = journal.read_records(self.run / "run.db", "phase", engine="mine")
            return any(phase.body.get("name") == "load" for phase in phases)
        except JournalError:
            return False


def soaks_in(folder: Path) -> Iterator[Callable[..., Soak]]:
    """Give what begins soaks in a folder; nothing of them is left at the end."""
    begun = []

    def soak(*arguments: Any, **options: Any) -> Soak:
        begun.append(Soak(folder, *arguments, **options))
        return begun[-1]

    yield soak
    for soak_ in begun:
        with contextlib.suppress(psutil.Error):
            for process in soak_.everything():
                process.kill()
        soak_.process.communicate()
