import ctypes
import subprocess
import sys

import pytest

from soakd.worker.probes.allocator import live_native_bytes
from soakd.worker.probes.tcache import MainThreadCache

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]


def _gain_of_freed_blocks(size: int) -> int:
    before = live_native_bytes()
    blocks = [libc.malloc(size) for _ in range(7)]
    for block in blocks:
        libc.free(block)
    return live_native_bytes() - before


@pytest.mark.parametrize("size", [24, 500, 1000])
def test_freed_blocks_in_the_cache_are_not_live(size: int) -> None:
    gains = [_gain_of_freed_blocks(size) for _ in range(3)]  # the calls themselves settle
    assert abs(gains[-1]) < 500


def test_the_cache_is_found_and_counts_blocks_to_the_byte() -> None:
    blocks = [libc.malloc(1000) for _ in range(7)]
    before = MainThreadCache().bytes()
    for block in blocks:
        libc.free(block)
    assert MainThreadCache().bytes() - before == 7 * 1008


def test_a_process_without_such_a_cache_reads_as_empty() -> None:
    code = "from soakd.worker.probes.tcache import MainThreadCache; print(MainThreadCache().bytes())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stdout.strip() == "0"
