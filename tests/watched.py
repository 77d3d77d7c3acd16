"""A soak whose status page is looked at while it goes on."""

import signal
import socket
import sys
from pathlib import Path

import psutil

from tests.booted import wait_for


class WatchedSoak:
    """A run whose daemon can be killed, and goes on. `config` leaves {port} open."""

    def __init__(self, folder: Path, config: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.address = f"http://127.0.0.1:{self.port}/"
        self.daemon: psutil.Popen | None = None
        (folder / "soak.toml").write_text(config.format(port=self.port), encoding="utf-8")

    def start(self) -> None:
        command = [sys.executable, "-m", "soakd", "run", "soak.toml", "--run-dir", "run", "--resume"]
        with open(self.folder / "log", "ab") as log:
            self.daemon = psutil.Popen(command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True)
        wait_for(self.answers, 60, (self.folder / "log").read_text(encoding="utf-8"))

    def answers(self) -> bool:
        with socket.socket() as client:
            client.settimeout(5)
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self, number: signal.Signals) -> None:
        assert self.daemon is not None
        self.daemon.send_signal(number)
        try:
            self.daemon.wait(60)
        except psutil.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait(10)
