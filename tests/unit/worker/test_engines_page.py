"""docs/engines.md: its tables are those of the code, and the engines that it shows are engines."""

import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from soakd.setup.engine_kinds import KINDS, KindInfo, OptionInfo
from soakd.wire.spec import WorkerSpec
from soakd.worker.engines import build, is_async
from soakd.worker.load.mixes import MIXES
from soakd.worker.load.tape import make_operations
from tests.conftest import Golden
from tests.pages import ROOT, with_block

PAGE = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def kinds_block() -> str:
    return "\n\n".join("\n".join(kind_lines(name, kind)) for name, kind in KINDS.items())


def kind_lines(name: str, kind: KindInfo) -> Iterator[str]:
    yield f"### `{name}`\n"
    yield f"{kind.doc}; by default a {kind.default_role}\n"
    if kind.needs_factory:
        yield "`options` are the keyword arguments of `factory`; see [below](#write-one)."
    elif not kind.options:
        yield "No options."
    else:
        yield "| option | of the | type | default | meaning |\n|---|---|---|---|---|"
        yield from (option_row(*item) for item in kind.options.items())


def option_row(name: str, option: OptionInfo) -> str:
    bounds = [f">= {option.least:g}"] if option.least is not None else []
    bounds += [f"<= {option.most:g}"] if option.most is not None else []
    default = "" if option.default is None else f"`{_written(option)}`"
    of = "server" if option.for_server else "engine"
    return f"| `{name}` | {of} | {' '.join([option.type, *bounds])} | {default} | {option.doc} |"


def _written(option: OptionInfo) -> str:
    """Write a default as a configuration would."""
    if isinstance(option.default, bool):
        return str(option.default).lower()
    if option.type == "duration":
        return f'"{option.default:g}s"'
    return f'"{option.default}"' if isinstance(option.default, str) else f"{option.default:g}"


def test_every_kind_and_option_is_there_as_the_code_has_it(golden: Golden) -> None:
    golden("../../docs/engines.md", with_block("kinds", "engines.md", kinds_block()))


@pytest.fixture
def shown(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Any, WorkerSpec]]:
    """An engine of the page, built as a worker builds it."""
    path = list(sys.path)
    (tmp_path / f"shown_{request.param}.py").write_text(SHOWN[request.param], encoding="utf-8")
    spec = WorkerSpec(
        engine="mine", kind="python", role="subject", segment=0, seed=1, rate_per_s=100, profile="target",
        mix="standard", in_flight=8, phases=(), sample_every_s=1.0, collect_every_s=None, snapshot_every_s=None,
        latency_every_s=60.0, factory=f"shown_{request.param}:make", path=(str(tmp_path),),
    )  # fmt: skip
    yield build(spec), spec
    sys.path[:] = path


@pytest.mark.parametrize("shown", range(len(SHOWN)), indirect=True)
def test_an_engine_that_is_shown_runs(shown: tuple[Any, WorkerSpec]) -> None:
    engine, spec = shown
    operations = make_operations(spec.seed, MIXES[spec.mix], 5000)
    engine.start()
    if is_async(engine):
        asyncio.run(_perform(engine, operations))
    else:
        for operation in operations:
            engine.operation(operation)
    assert engine.counters() in ({}, {"entries": 1000})
    assert engine.take_findings() == []
    engine.close()


async def _perform(engine: Any, operations: Any) -> None:
    for operation in operations:
        await engine.operation(operation)


def test_all_three_ways_to_write_one_are_shown() -> None:
    assert len(SHOWN) == 3
