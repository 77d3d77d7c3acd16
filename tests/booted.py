"""A real systemd, booted in private namespaces on a root tree of its own: nothing of it reaches the host.

The tree is an overlay: the cached Debian below (tools/get-systemd-root.sh), what the test changes above. A second boot
on the same changes is a reboot.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from soakd.systemd import HIDDEN

ROOT = Path(__file__).parent.parent
CACHED = ROOT / ".tools" / "systemd-root"
SOURCE = "/opt/soakd-source"
"""Where the booted system sees the package that is tested."""
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BOOT_WITHIN_S = 120.0

_BOOT = r"""
ip link set lo up
cd "$BASE"
mkdir -p upper work root
mount -t overlay overlay -o "lowerdir=$LOWER,upperdir=upper,workdir=work" root
while read -r from to; do
    mkdir -p "root$to"
    mount --bind "$from" "root$to"
    mount -o remount,bind,ro "root$to"
done <binds
cd root
mkdir -p old proc sys dev run tmp
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
pivot_root . old
umount -l old
mount --make-rshared /
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system
"""


def why_not() -> str | None:
    """Say why no systemd can be booted here; None where one can."""
    if os.geteuid() != 0:
        return "booting a systemd needs root"
    if any(Path(sys.prefix).resolve().is_relative_to(hidden) for hidden in HIDDEN):
        return f"{sys.prefix}: the service has a /tmp of its own, and would not see this environment"
    if missing := [name for name in ("unshare", "nsenter", "pivot_root", "ip") if shutil.which(name) is None]:
        return f"booting a systemd needs {', '.join(missing)}"
    probe = ["unshare", "--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--fork", "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        return "this host gives us no namespaces"
    made = subprocess.run(["sh", str(ROOT / "tools/get-systemd-root.sh")], capture_output=True, text=True, check=False)
    return made.stderr.strip().splitlines()[-1] if made.returncode else None


@dataclass
class Machine:
    """A root tree with changes of its own, and the systemd that is booted on it."""

    base: Path
    binds: dict[str, str] = field(default_factory=dict)
    """Folder of the host -> where the machine sees it, read-only."""
    pid: int = 0

    @property
    def changes(self) -> Path:
        """What differs from the cached tree."""
        return self.base / "upper"

    def write(self, path: str, text: str) -> None:
        """Write a file of the machine while it is not booted, or one of /etc and /var/lib while it is."""
        target = self.changes / path.lstrip("/") if not self.pid else Path(f"/proc/{self.pid}/root{path}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    @contextlib.contextmanager
    def booted(self) -> Iterator[None]:
        """Boot it, and end everything in it afterwards."""
        self.base.mkdir(parents=True, exist_ok=True)
        (self.base / "binds").write_text("".join(f"{src} {dst}\n" for src, dst in self.binds.items()))
        log = open(self.base / "boot.log", "ab")  # noqa: SIM115 - closed below
        outer = subprocess.Popen(
            ["unshare", "--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--kill-child=SIGKILL",
             "--propagation", "private", "bash", "-euc", _BOOT],
            env={"BASE": str(self.base), "LOWER": str(CACHED.resolve()), "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            wait_for(lambda: bool(psutil.Process(outer.pid).children()), BOOT_WITHIN_S, "a child of unshare")
            self.pid = psutil.Process(outer.pid).children()[0].pid
            wait_for(self._runs, BOOT_WITHIN_S, "a booted systemd")
            yield
        finally:
            self.pid = 0
            if outer.poll() is None:
                outer.kill()
            outer.wait()
            log.close()

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command in the machine; returns what it prints."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.pid), "-a", "--", "env", "-i", PATH, "HOME=/root", *command],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Return properties of a unit."""
        lines = self.run("systemctl", "show", unit, "-p", ",".join(properties)).splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def journal(self, *options: str) -> str:
        """Return what is in the machine's journal."""
        return self.run("journalctl", "--no-pager", "-q", *options, check=False)

    def power_off(self) -> None:
        """Shut down in order, and wait for the end."""
        process = psutil.Process(self.pid)
        self.run("systemctl", "--no-block", "poweroff")
        process.wait(60)

    def _runs(self) -> bool:
        return self.run("systemctl", "is-system-running", check=False).strip() in ("running", "degraded")


def machine_for_soakd(base: Path) -> Machine:
    """Return a machine that sees the tested package, the environment in use and its Python."""
    prefix, base_prefix = Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()
    binds = {str(ROOT): SOURCE, str(prefix): str(prefix), str(base_prefix): str(base_prefix)}
    machine = Machine(base, {host: seen for host, seen in binds.items() if seen not in ("/usr", "/")})
    for folder in {*base_prefix.parents, *prefix.parents}:
        if folder != Path("/"):  # a service's user must come through, as home.conf says
            (machine.changes / str(folder).lstrip("/")).mkdir(parents=True, exist_ok=True)
            (machine.changes / str(folder).lstrip("/")).chmod(0o755)
    return machine


def wait_for(condition: Callable[[], bool], within_s: float, what: str) -> None:
    """Wait until something holds."""
    until_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > until_s:
            raise AssertionError(f"{what}: not within {within_s:g}s")
        time.sleep(0.1)
