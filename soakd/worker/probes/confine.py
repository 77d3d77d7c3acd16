"""Confines a forked child: it can compute, allocate, and write to one pipe, and nothing else.

`gc.collect()` in the child runs the finalizers of the garbage it finds. They act as if in the parent: they close its
connections, remove its temporary directories, kill its processes. Three measures prevent that, in this order:

* Every inherited file but the result pipe is closed, and the standard ones point to /dev/null: whatever a finalizer
  closes, flushes, unlocks or unregisters is already gone, and was the child's own copy.
* A seccomp filter lets the child manage memory, wait on a lock, read clocks, write to the result pipe, exit and abort;
  any other call fails with EPERM: no unlink, kill, connect, sleep or new thread, from Python or C.
* If the filter cannot be installed (another architecture, a sandbox that forbids it), no file can be opened
  (RLIMIT_NOFILE 0) and `os` refuses to remove, rename, kill or start anything. C code is not restricted then, nor
  Python code that kept a reference to such a function (tempfile's unlink of a named file); the result says so.

A child that crashes must die at once. An inherited SIGSEGV handler (of faulthandler, Go or a JVM) restores the previous
one and returns to the faulting instruction: behind the filter it cannot, and would spin for ever. So every signal is
set to its default, and abort() may raise SIGABRT.

Still possible in any case: memory shared with other processes (mmap, shared_memory, semaphores) can be written, and
hooks of os.register_at_fork run before any of this. Unprivileged Landlock would also prevent the removals, but signals
only since Linux 6.12; the filter needs 3.5.

Source: seccomp(2), prctl(2); the numbers from asm/unistd_64.h and asm-generic/unistd.h.
"""

import ctypes
import errno
import gc
import os
import resource
import signal
import struct
import sys
from contextlib import suppress
from typing import Any, NoReturn

from soakd.wire.spec import LOOK_PROCESS

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 15, 22, 38
_SECCOMP_MODE_FILTER = 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000 | errno.EPERM

# brk mmap munmap mremap mprotect madvise futex sched_yield sched_getaffinity exit exit_group getpid getppid gettid
# getuid geteuid getgid getegid clock_gettime clock_getres gettimeofday getrandom rt_sigprocmask rt_sigreturn
# restart_syscall
_X86_64 = (
    12, 9, 11, 25, 10, 28, 202, 24, 204, 60, 231, 39, 110, 186,
    102, 107, 104, 108, 228, 229, 96, 318, 14, 15,
    219,
)  # fmt: skip
_GENERIC = (
    214, 222, 215, 216, 226, 233, 98, 124, 123, 93, 94, 172, 173, 178,
    174, 175, 176, 177, 113, 114, 169, 278, 135, 139,
    128,
)  # fmt: skip
_MACHINES = {  # audit architecture, numbers of write and tgkill, what is allowed; 64-bit and little-endian, all of them
    "x86_64": (0xC000003E, 1, 234, _X86_64),
    "aarch64": (0xC00000B7, 64, 131, _GENERIC),
    "riscv64": (0xC00000F3, 64, 131, _GENERIC),
}
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_AT, _THIRD_AT = 0, 4, 16, 32
"""Offsets of the call number, the architecture and (the low half of) two arguments in the filter's input."""
_REFUSED = (
    "kill", "killpg", "unlink", "remove", "rmdir", "removedirs", "rename", "renames", "replace", "truncate", "link",
    "symlink", "mkdir", "mkfifo", "chmod", "chown", "lchown", "utime", "system", "fork", "forkpty", "posix_spawn",
    "posix_spawnp", "execv", "execve",
)  # fmt: skip

_prctl = ctypes.CDLL(None, use_errno=True).prctl
_prctl.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def settle(result_fd: int, parent_pid: int, timeout_s: float, niceness: int) -> None:
    """Separate a fresh fork from its parent, before it does anything else; it starts with signals blocked.

    It dies with the thread that forked it, and of SIGALRM shortly after `timeout_s` if it was not killed by then.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, None, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)  # the parent died before the line above
    _prctl(_PR_SET_NAME, LOOK_PROCESS, None, 0, 0)
    _close_inherited_files(result_fd)
    _forget_handlers()
    signal.alarm(int(timeout_s) + 2)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _forget_hooks()
    _step_back(niceness)


def shut_the_doors(result_fd: int) -> str:
    """Confine this process, for good, to memory, locks, clocks and the result pipe.

    Returns:
        "seccomp", or "os" if only the weaker method was possible.
    """
    if _install_filter(result_fd):
        return "seccomp"
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    for name in _REFUSED:
        if hasattr(os, name):
            setattr(os, name, _refuse)
    return "os"


def _close_inherited_files(result_fd: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - no Path object per descriptor
        if int(name) > 2 and int(name) != result_fd:
            with suppress(OSError):  # the listing's own
                os.close(int(name))


def _forget_handlers() -> None:
    """Set every signal to its default, also those with handlers installed by C code, which `getsignal` does not see."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        with suppress(OSError, ValueError):  # cannot be caught, or belongs to the C library
            signal.signal(number, signal.SIG_DFL)


def _forget_hooks() -> None:
    sys.settrace(None)
    sys.setprofile(None)
    sys.unraisablehook = _ignore
    gc.set_debug(0)
    gc.callbacks.clear()


def _step_back(niceness: int) -> None:
    """Yield processor and memory to the parent: niced, first to be killed when memory runs out, no core file."""
    with suppress(OSError):
        os.nice(niceness)
    with suppress(OSError), open("/proc/self/oom_score_adj", "wb", buffering=0) as file:
        file.write(b"1000")
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _install_filter(result_fd: int) -> bool:
    machine = _MACHINES.get(os.uname().machine)
    if machine is None or sys.maxsize <= 2**32:
        return False
    code = _filter(result_fd, *machine)
    program = _Program(len(code) // 8, code)
    if _prctl(_PR_SET_NO_NEW_PRIVS, 1, None, 0, 0):
        return False
    return not _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(program), 0, 0)


def _filter(result_fd: int, architecture: int, write: int, tgkill: int, allowed: tuple[int, ...]) -> bytes:
    """Assemble the filter: each step names the next one if its test holds, and if not; "" is the following step."""
    steps = [
        (_LOAD, "", "", _ARCHITECTURE_AT), (_JUMP_IF_EQUAL, "", "fail", architecture), (_LOAD, "", "", _NUMBER_AT),
        *((_JUMP_IF_EQUAL, "allow", "", number) for number in allowed),
        (_JUMP_IF_EQUAL, "", "no write", write),
        (_LOAD, "", "", _FIRST_AT), (_JUMP_IF_EQUAL, "allow", "fail", result_fd),
        (_JUMP_IF_EQUAL, "", "fail", tgkill), (_LOAD, "", "", _FIRST_AT), (_JUMP_IF_EQUAL, "", "fail", os.getpid()),
        (_LOAD, "", "", _THIRD_AT), (_JUMP_IF_EQUAL, "allow", "fail", signal.SIGABRT),
        (_RETURN, "", "", _FAIL), (_RETURN, "", "", _ALLOW),
    ]  # fmt: skip
    places = {"no write": len(allowed) + 6, "fail": len(steps) - 2, "allow": len(steps) - 1}
    return b"".join(
        struct.pack("=HBBI", code, *(places[to] - at - 1 if to else 0 for to in (holds, fails)), value)
        for at, (code, holds, fails, value) in enumerate(steps)
    )


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise PermissionError(errno.EPERM, "a forked probe changes nothing")


def _ignore(_: Any) -> None:
    """Ignore what a finalizer raised."""
