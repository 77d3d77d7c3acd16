"""Of what a user names, only regular files of a bounded size are read; everything else is one line, at once.

A pipe without a writer would keep the test waiting for ever, and so would a device without an end.
"""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from soakd.cli import main
from soakd.errors import ConfigError, EngineError
from soakd.setup import config, toml
from soakd.wire import policies
from soakd.wire.given_files import check_given, read_given

ENGINE = """
[run]
duration = "10min"
sample_every = "1s"
{run}
[[engine]]
name = "mine"
kind = "policy.opa"
options = {{ rule = "data.p.x", {options} }}
"""
GIGABYTE = 1_000_000_000


@pytest.fixture(params=["device", "pipe", "folder", "socket", "gigabyte", "link to a pipe"])
def unfit(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """What cannot be read, and what is said of it."""
    path = tmp_path / "unfit"
    match request.param:
        case "device":
            yield Path("/dev/zero"), "a device, where a file is needed"
        case "pipe":
            os.mkfifo(path)
            yield path, "a pipe, where a file is needed"
        case "folder":
            path.mkdir()
            yield path, "a folder, where a file is needed"
        case "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
                yield path, "a socket, where a file is needed"
        case "gigabyte":
            with path.open("wb") as file:
                file.truncate(GIGABYTE)  # without a block on the disk
            yield path, "larger than "
        case _:
            os.mkfifo(tmp_path / "pipe")
            path.symlink_to(tmp_path / "pipe")
            yield path, "a pipe, where a file is needed"


def written(folder: Path, *, run: str = "", options: str = 'policy = "p.rego"') -> Path:
    (folder / "p.rego").write_text("package p\nx := 1\n", encoding="utf-8")
    path = folder / "soak.toml"
    path.write_text(ENGINE.format(run=run, options=options), encoding="utf-8")
    return path


def test_a_configuration_that_is_no_file_is_one_line_of_the_check(
    unfit: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path, why = unfit
    assert main.main(["check", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"soakd: {path}: cannot be read: {why}")
    assert said.count("\n") == 1


def test_a_file_of_waivers_is_no_pipe_either(unfit: tuple[Path, str], tmp_path: Path) -> None:
    path, why = unfit
    with pytest.raises(ConfigError) as error:
        config.load(written(tmp_path, run=f'waivers = "{path}"'))
    assert [problem for problem in error.value.problems if why not in problem] == []


@pytest.mark.parametrize("option", ["policy", "data", "inputs", "binary"])
def test_a_file_that_an_option_names_is_looked_at_before_anything_starts(
    option: str, unfit: tuple[Path, str], tmp_path: Path
) -> None:
    path, why = unfit
    more = "" if option == "policy" else 'policy = "p.rego", '
    file = written(tmp_path, options=f'{more}{option} = "{path}"')
    if (option == "policy" and path.is_dir()) or (option == "binary" and path.is_file()):
        assert config.load(file).engines  # modules may be in a folder, and a program large
        return
    with pytest.raises(ConfigError) as error:
        config.load(file)
    (problem,) = error.value.problems
    assert f'engine "mine": options: {option}: ' in problem
    assert why in problem


def test_a_worker_does_not_wait_for_a_pipe_that_took_the_place_of_a_file(unfit: tuple[Path, str]) -> None:
    path, why = unfit
    for read in (lambda: policies.read_data(str(path)), lambda: policies.read_inputs(str(path))):
        with pytest.raises(EngineError, match=f"{path}: cannot be read: {why}"):
            read()


def test_a_pipe_among_the_modules_of_a_folder_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.rego")
    with pytest.raises(EngineError, match=r"p\.rego: cannot be read: a pipe, where a file is needed"):
        policies.read_modules([str(tmp_path)])


def test_a_file_without_a_size_is_read_up_to_the_limit() -> None:
    assert read_given(Path("/proc/self/stat"), 10_000)
    with pytest.raises(OSError, match=r"larger than 10 B"):
        read_given(Path("/proc/self/stat"), 10)


def test_the_limit_itself_is_not_too_large_and_line_ends_are_those_of_text(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a\r\nb\rc\n")
    assert read_given(path, path.stat().st_size) == "a\nb\nc\n"
    with pytest.raises(OSError, match="larger than 6 B"):
        check_given(path, path.stat().st_size - 1)


def test_a_configuration_of_the_largest_size_loads(tmp_path: Path) -> None:
    path = written(tmp_path)
    filling = toml.LARGEST_FILE_BYTES - path.stat().st_size
    path.write_text(path.read_text(encoding="utf-8") + "#" * filling, encoding="utf-8")
    assert config.load(path).engines


def test_links_in_a_circle_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to(tmp_path / "a.json")
    with pytest.raises(ConfigError, match="options: data: no such file"):
        config.load(written(tmp_path, options='policy = "p.rego", data = "a.json"'))
