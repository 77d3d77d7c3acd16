"""Whatever a command says on stderr goes one way, on which secrets are hidden and control characters made visible."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from soakd.cli import main, stderr
from soakd.cli.main import build_parser
from soakd.errors import PreflightError
from soakd.record import pruning
from soakd.record.run_folder import RunDir

COMMANDS = Path(stderr.__file__).parent
DIRECT = {
    "print_exc", "print_exception", "print_last", "print_stack", "print_tb", "print_usage", "print_help",
    "print_warning", "showwarning", "warn", "dump_traceback",
}  # fmt: skip
LIBRARIES = {"logging", "warnings"}


def ways_to_stderr(tree: ast.AST) -> Iterator[str]:
    """Yield what in a module writes to stderr, or could: by name, by number, or as an exit with a text."""
    asked = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "isatty"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and id(node) not in asked:
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            is_stream = ast.unparse(node) in ("sys.stderr", "sys.__stderr__", "os.write", "os.fdopen")
            if is_stream or name in DIRECT:
                yield ast.unparse(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            names = [alias.name for alias in node.names]
            if LIBRARIES & {module, *names} or (module == "sys" and {"stderr", "__stderr__"} & set(names)):
                yield ast.unparse(node)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.exit", "SystemExit", "exit"):
            yield from (ast.unparse(node) for text in node.args if not isinstance(text, ast.Constant))
            yield from (ast.unparse(node) for text in node.args if isinstance(getattr(text, "value", None), str))


@pytest.mark.parametrize("path", sorted(COMMANDS.glob("*.py")), ids=lambda path: path.stem)
def test_no_command_writes_to_stderr_by_itself(path: Path) -> None:
    found = list(ways_to_stderr(ast.parse(path.read_text(encoding="utf-8"))))
    assert path.stem == "stderr" or not found


@pytest.mark.parametrize(
    "source",
    [
        "print('x', file=sys.stderr)", "sys.stderr.write('x')", "from sys import stderr", "os.write(2, b'x')",
        "import logging", "import warnings", "sys.exit('x')", "raise SystemExit(f'{x}')", "traceback.print_exc()",
        "parser.print_usage()",
    ],
)  # fmt: skip
def test_a_way_around_it_is_noticed(source: str) -> None:
    assert list(ways_to_stderr(ast.parse(source)))


def test_the_question_whether_it_is_a_terminal_is_none() -> None:
    assert not list(ways_to_stderr(ast.parse("on_terminal = sys.stderr.isatty()")))


def test_what_is_said_there_has_neither_secrets_nor_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    stderr.complain("redis://:hunter2@host \x1b[2J\u202e\nsecond line\n")
    assert capsys.readouterr().err == "soakd: redis://:***@host \\x1b[2J\\u202e\nsecond line\n"


def test_a_text_is_cut_after_its_secrets_were_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    stderr.complain(f"{'x ' * (stderr.LONGEST_TEXT // 2 - 10)}redis://:hunter2@host")
    assert "hunter" not in (said := capsys.readouterr().err)
    assert len(said) == stderr.LONGEST_TEXT + 1


@pytest.mark.parametrize(
    "arguments",
    [["--password=hunter2\x1b[2J"], ["check", "soak.toml", "--token=hunter2"], ["run", "a", "--password", "hunter2"]],
)
def test_a_command_line_that_cannot_be_read_is_quoted_without_its_secrets(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(arguments)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert "error: unrecognized arguments: --" in said
    assert "***" in said
    assert "hunter2" not in said
    assert "\x1b" not in said


def test_without_a_command_the_help_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main([]) == 2
    assert capsys.readouterr().err == build_parser().format_help()


def test_a_run_that_cannot_be_removed_is_told_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = pruning.Prunable(run=RunDir(tmp_path), bytes=1, is_finished=True, why="old")

    def refuse(_: RunDir) -> None:
        raise PreflightError("cannot remove redis://:hunter2@host\x1b[2J")

    monkeypatch.setattr("soakd.cli.prune._prunable", lambda *_: [run])
    monkeypatch.setattr(pruning, "remove", refuse)
    assert main.main(["prune", "--runs", str(tmp_path), "--keep", "1"]) == 2
    assert capsys.readouterr().err == "soakd: cannot remove redis://:***@host\\x1b[2J\n"
