"""What the documents say is what the code does: every key, kind, option, class, check and exit code is named."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from soakd.cli import main
from soakd.errors import ConfigError
from soakd.judge.conclude import classes
from soakd.setup import config, settings
from soakd.setup.engine_kinds import KINDS
from soakd.units import format_duration
from soakd.worker.load.mixes import MIXES

ROOT = Path(__file__).parent.parent.parent
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
VERDICTS = (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")
DOCUMENTS = sorted(path for folder in (ROOT, ROOT / "docs") for path in folder.glob("*.md"))
MINIMAL = '[run]\nduration = "1h"\n[[engine]]\nname = "a"\nkind = "control.null"\n'


def known_keys(table: str) -> list[str]:
    """The keys of a table, as the code itself lists them when it meets an unknown one."""
    addition = {"engine": "nonsense = 1", "top": ""}.get(table, f"[{table}]\nnonsense = 1")
    text = MINIMAL + addition
    if table == "fault":
        text = MINIMAL.replace("control.null", "cache.native") + '[[fault]]\nkind = "kill"\ntarget = "a"\nnonsense = 1'
    if table == "run":
        text = MINIMAL.replace("[run]", "[run]\nnonsense = 1")
    with pytest.raises(ConfigError, match="known keys") as caught:
        config.parse(text, source="a.toml", folder=Path.cwd())
    return str(caught.value).split("known keys: ")[1].split(", ")


def section(table: str) -> str:
    title = f"## `[[{table}]]`" if table in ("engine", "fault") else f"## `[{table}]`"
    return CONFIGURATION.split(title)[1].split("\n## ")[0]


def kind_rows() -> Iterator[str]:
    for name, kind in KINDS.items():
        yield f"| `{name}` | {kind.doc} | {kind.default_role} |"


def option_rows() -> Iterator[str]:
    for name, kind in KINDS.items():
        for key, option in kind.options.items():
            bounds = [f">= {option.least:g}"] if option.least is not None else []
            bounds += [f"<= {option.most:g}"] if option.most is not None else []
            shown = format_duration(option.default) if option.type == "duration" and option.default else option.default
            default = "" if option.default is None else f"`{shown}`"
            yield f"| `{name}` | `{key}` | {' '.join([option.type, *bounds])} | {default} | {option.doc} |"


@pytest.mark.parametrize(
    "table", ["run", "limits", "engine", "fault", "supervision", "http", "attribution", "retention", "notify"]
)
def test_every_key_of_every_table_has_its_row(table: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", section(table), re.MULTILINE)
    missing = set(known_keys(table)) - set(rows)
    assert not missing, f"docs/configuration.md: [{table}] says nothing of {sorted(missing)}"


@pytest.mark.parametrize("row", [*kind_rows(), *option_rows()])
def test_every_kind_and_option_has_its_row(row: str) -> None:
    assert row in CONFIGURATION, f"docs/configuration.md: this row is missing:\n{row}"


def test_every_mix_and_profile_is_named() -> None:
    assert set(MIXES) == set(settings.MIXES)
    for name in (*settings.MIXES, *settings.PROFILES):
        assert f"`{name}`" in CONFIGURATION


@pytest.mark.parametrize("line", main.EXIT_CODES.splitlines()[1:])
def test_every_exit_code_is_explained_as_the_command_line_does(line: str) -> None:
    code, meaning = line.split(maxsplit=1)
    assert f"| {code} | {meaning} |" in CONFIGURATION


@pytest.mark.parametrize("row", re.findall(r"^\| `(\S+=.*?)` \| `(.*)` \|$", CONFIGURATION, re.MULTILINE))
def test_the_errors_that_are_shown_are_the_ones_one_gets(row: tuple[str, str]) -> None:
    path = ROOT / "configs" / "quick.toml"
    with pytest.raises(ConfigError) as caught:
        config.load(path, overrides=[row[0]])
    assert str(caught.value).replace(f"{path}: ", "") == row[1]


def test_every_class_of_growth_is_explained() -> None:
    source = Path(classes.__file__).read_text(encoding="utf-8")
    names = set(re.findall(r'Class\("(\w+)"', source)) | set(classes.LEAK_WORDS)
    names |= set(re.findall(r'"(\w+_leak)"', source))
    missing = {name for name in names if f"`{name}`" not in VERDICTS}
    assert not missing, f"docs/verdicts.md says nothing of {sorted(missing)}"


def test_every_check_has_its_row() -> None:
    ids = set()
    for path in (ROOT / "soakd" / "judge").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        ids |= set(re.findall(r'"((?:evidence|errors|latency|rate|cpu|stability|observer)\.[a-z_0-9]+)"', source))
    missing = {name for name in ids if f"`{name}`" not in VERDICTS}
    assert len(ids) > 10
    assert not missing, f"docs/verdicts.md says nothing of {sorted(missing)}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_blocks_of_toml_are_toml_and_whole_ones_load(document: Path) -> None:
    for block in re.findall(r"^```toml\n(.*?)^```", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        raw = tomllib.loads(block)
        if "run" in raw and "engine" in raw:
            config.parse(block, source=document.name, folder=ROOT / "configs")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_files_and_pictures_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_the_commands_that_judge_a_csv_are_commands() -> None:
    parser = main.build_parser()
    commands = re.findall(r"^\$ (soakd judge --csv.*)$", VERDICTS, re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        parser.parse_args([word for word in shlex.split(command, comments=True)[1:] if word != ">"])
