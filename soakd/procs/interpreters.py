"""Other interpreters: what a worker under one sees of soakd, and whether soakd works under it.

A worker's `PYTHONPATH` begins with a private folder that holds one link, `soakd`. Under a named interpreter it holds
nothing else: soakd's own packages are not on the way of the engine's, whatever their versions.
"""

import asyncio
import contextlib
import errno
import os
import re
import shutil
import signal
import site
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from soakd.procs.scratch import held, held_folder, sweep
from soakd.setup.plan import Plan

OLDEST = (3, 11)
ANSWER_WITHIN_S = 20.0
TEMPORARY = "soakd-imports-"
MOST_OUTPUT_BYTES = 1 << 16
NOT_OURS = ("PYTHONHOME", "PYTHONSTARTUP", "PYTHONPATH")
"""Variables that would lead a worker to other modules than those of its interpreter."""

# Nothing but `sys`, which no file can shadow, in words that Python 2 has too.
_QUESTION = (
    "import sys; i = getattr(sys, 'implementation', None); "
    "print('soakd:%s %d.%d.%d %s.' % ((i and i.name or 'cpython',) + tuple(sys.version_info[:3]) "
    "+ (getattr(sys, 'abiflags', ''),)))"
)
_ANSWER = re.compile(rb"soakd:(\w+) (\d+)\.(\d+)\.(\d+) (\w*)\.")


@contextlib.contextmanager
def import_folder(place: Path | None = None) -> Iterator[Path]:
    """Make the folder that a worker imports soakd from; it is gone afterwards.

    Args:
        place: where to make it, so that a later daemon can remove what one that was killed left; None, or a path that
            PYTHONPATH cannot carry, for a temporary folder.

    Raises:
        OSError: it cannot be made.
    """
    own = None if place is None or os.pathsep in str(place) else place
    with held_folder(TEMPORARY) if own is None else _own(own) as folder:
        (folder / "soakd").symlink_to(Path(__file__).resolve().parents[1], target_is_directory=True)
        yield folder


@contextlib.contextmanager
def _own(place: Path) -> Iterator[Path]:
    place.mkdir(mode=0o700)
    try:
        with held(place):
            yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        sweep(Path(tempfile.gettempdir()), TEMPORARY)


def site_packages() -> tuple[str, ...]:
    """Return where soakd's own dependencies are: what a snapshot child may add to its path."""
    return tuple(dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]))


def worker_environment(python: str | None, imports: Path, scratch: Path | None = None) -> Mapping[str, str]:
    """Return the environment of a worker: ours, less what would change where its interpreter finds modules.

    Args:
        python: the interpreter that the engine names; None for soakd's own, which keeps the user's PYTHONPATH.
        imports: what `import_folder` gave.
        scratch: its temporary folder; None for that of everybody.
    """
    kept = {key: value for key, value in os.environ.items() if key not in NOT_OURS}
    users = os.environ.get("PYTHONPATH") if python is None else None
    return kept | {
        "PYTHONPATH": os.pathsep.join([str(imports), *([users] if users else [])]),
        "PYTHONUNBUFFERED": "1",
        **({} if scratch is None else {"TMPDIR": str(scratch)}),
    }


async def refusals(plan: Plan) -> Mapping[str, str]:
    """Ask every interpreter of a plan, each once; return the engines that cannot run under theirs, with the reason."""
    named = dict.fromkeys(engine.config.python for engine in plan.engines if engine.config.python is not None)
    within_s = plan.config.supervision.start_within_s
    why = dict(zip(named, await asyncio.gather(*(refusal(python, within_s) for python in named)), strict=True))
    reasons = ((engine.config.name, why.get(engine.config.python or "")) for engine in plan.engines)
    return {name: reason for name, reason in reasons if reason is not None}


async def refusal(python: str, within_s: float) -> str | None:
    """Ask an interpreter what it is.

    Args:
        python: its path, or a name on PATH.
        within_s: seconds that it has to answer, at most 20.

    Returns:
        One line on why no worker can run under it, None where one can. Nothing of it is left running.
    """
    try:
        printed, status = await _ask(python, min(within_s, ANSWER_WITHIN_S))
    except TimeoutError:
        return f"{python}: did not answer within {min(within_s, ANSWER_WITHIN_S):g}s: it hangs at its start"
    except OSError as error:
        return f"{python}: {cannot_start(python, error)}"
    answer = _ANSWER.search(printed)
    if answer is None:
        return f"{python}: does not answer as Python does ({_ended(status)}){_last_words(printed)}"
    name, *version, flags = (part.decode() for part in answer.groups())
    return unfit(python, name, tuple(map(int, version)), flags)


def unfit(python: str, implementation: str, version: tuple[int, ...], abiflags: str) -> str | None:
    """Return why soakd does not work under such an interpreter; None if it does."""
    text, oldest = ".".join(map(str, version)), ".".join(map(str, OLDEST))
    if implementation != "cpython":
        return f"{python}: is {implementation} {text}; CPython {oldest} or later is needed"
    if version[:2] < OLDEST:
        return f"{python}: is CPython {text}; {oldest} or later is needed"
    if "t" in abiflags:
        return f"{python}: is a free-threaded CPython {text}; a regular one is needed"
    return None


async def _ask(python: str, within_s: float) -> tuple[bytes, int | None]:
    """Return the first of what it printed, and its exit status; None if it was ended."""
    process = await asyncio.create_subprocess_exec(
        python, "-c", _QUESTION,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        env={key: value for key, value in os.environ.items() if key not in NOT_OURS},
    )  # fmt: skip
    printed, status = b"", None
    try:
        async with asyncio.timeout(within_s):
            assert process.stdout is not None
            while len(printed) < MOST_OUTPUT_BYTES and not _ANSWER.search(printed):
                part = await process.stdout.read(MOST_OUTPUT_BYTES)
                if not part:
                    status = await process.wait()
                    break
                printed += part
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return printed, status


def cannot_start(python: str, error: OSError) -> str:
    """Return why an interpreter cannot be started, as seen from its file."""
    path = Path(python)
    if error.errno == errno.ENOENT and path.is_symlink():
        return f"leads to {_end_of(path)}, which is not there: its environment has lost its interpreter, make it anew"
    if error.errno == errno.ENOENT and "/" not in python:
        return "no such program on PATH"
    if error.errno == errno.ENOENT and path.exists():
        return "its first line names a program that is not there"
    if error.errno == errno.ENOEXEC:
        return "not Python: no program at all"
    if error.errno == errno.EACCES:
        return "is a folder" if path.is_dir() else "cannot be executed: permission denied"
    return str(error.strerror)


def _end_of(path: Path) -> Path:
    """Follow links to the last name, which may not exist."""
    for _ in range(40):
        if not path.is_symlink():
            break
        path = path.parent / path.readlink()
    return path


def _ended(status: int | None) -> str:
    if status is None:
        return "it prints without end"
    return f"exit status {status}" if status >= 0 else f"killed by signal {-status}"


def _last_words(printed: bytes) -> str:
    """Return the line that best explains why a program failed: one that names an error, or else the last."""
    lines = [line.strip() for line in printed.decode("utf-8", "replace").splitlines() if line.strip()]
    naming = [line for line in lines if "Error" in line or "error" in line] or lines[-1:]
    return f": {naming[0][:200]}" if naming else ""
