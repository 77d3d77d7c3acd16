"""What a process said last: whole lines, cut ones, and none."""

import asyncio
import os

import pytest

from soakd.procs import output as process_output
from soakd.procs.exits import describe_status
from soakd.procs.output import Output


def kept(*parts: bytes, closes: bool = True) -> list[str]:
    """Return the lines that are kept of what is printed part by part."""

    async def listen() -> list[str]:
        output = Output()
        end = output.open()
        try:
            for part in parts:
                os.write(end, part)
                await asyncio.sleep(0)
            if closes:
                os.close(end)
                end = -1
            await output.ended()
        finally:
            if end >= 0:
                os.close(end)
        assert output.last_line == next((line.strip() for line in reversed(output.lines) if line.strip()), "")
        return list(output.lines)

    return asyncio.run(listen())


def test_lines_are_joined_again_and_the_last_needs_no_end() -> None:
    assert kept(b"one\ntw", b"o\r\nthr", b"ee") == ["one", "two", "three"]


def test_of_a_private_key_no_line_is_kept_however_it_arrives() -> None:
    body = b"Proc-Type: 4,ENCRYPTED\n\nhunter2\nhunter2==\n"
    key = b"-----BEGIN RSA PRIVATE KEY-----\n" + body + b"-----END RSA PRIVATE KEY-----\n"
    told = ["loading", "-----BEGIN RSA PRIVATE KEY-----***", "-----END RSA PRIVATE KEY-----", "bad key"]
    assert kept(b"loading\n" + key + b"bad key\n") == told
    assert kept(b"loading\n", key[:70], key[70:], b"bad key\n") == told
    assert kept(b"-----BEGIN CERTIFICATE-----\nabc\n") == ["-----BEGIN CERTIFICATE-----", "abc"]


def test_only_the_last_lines_are_kept_and_each_is_cut_and_printable() -> None:
    lines = kept(b"".join(b"%d\n" % n for n in range(100)), b"\x1b[31m\xff" + b"x" * 10_000 + b"\n")
    assert len(lines) == process_output.LINES
    assert lines[0] == "81"
    assert lines[-1].startswith("\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}xxx")
    assert len(lines[-1]) <= process_output.LINE_BYTES


def test_a_pipe_that_another_process_holds_open_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_output, "END_WITHIN_S", 0.05)
    assert kept(b"last words", closes=False) == ["last words"]


def test_who_said_nothing_has_no_last_line() -> None:
    assert kept() == []


@pytest.mark.parametrize(
    ("status", "words"), [(7, "exit status 7"), (-9, "killed by SIGKILL"), (-100, "killed by signal 100")]
)
def test_how_a_process_ended_is_said(status: int, words: str) -> None:
    assert describe_status(status) == words
