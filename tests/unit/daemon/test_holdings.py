"""What a worker holds is read on, whatever the host refuses."""

import asyncio
import os
from pathlib import Path

import pytest

from soakd.daemon.workers.holdings import Holdings


def refuse(*_: object) -> None:
    raise RuntimeError("can't start new thread")


def test_where_no_thread_can_be_started_the_temporary_folder_is_not_read_and_all_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(bytes(10_000))

    async def readings() -> list[dict[str, float]]:
        holdings, found = Holdings(tmp_path, 100.0), []
        for number in range(3):
            with monkeypatch.context() as patched:
                if number < 2:
                    patched.setattr(asyncio.get_running_loop(), "run_in_executor", refuse)
                found.append(holdings.read([os.getpid()], 100.0 * number))
        await asyncio.get_running_loop().shutdown_default_executor()
        return [*found, holdings.read([os.getpid()], 1000.0)]

    found = asyncio.run(readings())
    assert all("held_file_bytes" in values for values in found)
    assert ["scratch_bytes" in values for values in found] == [False, False, False, True]
