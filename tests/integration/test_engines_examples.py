"""The examples do what their page says."""

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from soakd.setup.config import load
from soakd.setup.plan import make_plan, worker_spec
from soakd.worker.engines import build, is_async
from soakd.worker.load import build_tape

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"
PAGE = (EXAMPLES / "README.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.integration


@pytest.fixture(params=["slugs", "chat"])
def engine_and_tape(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Build the engine of an example just as a worker would."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    plan = make_plan(load(EXAMPLES / f"{request.param}.toml"))
    spec = worker_spec(plan, next(e for e in plan.engines if e.config.kind == "python"), 0, ())
    return build(spec), build_tape(spec)


def test_an_example_is_soaked_as_it_stands(engine_and_tape: Any) -> None:
    engine, tape = engine_and_tape

    async def life() -> None:
        for step in (engine.start, *(lambda: engine.operation(next(tape.stream)) for _ in range(200)), engine.close):
            result = step()
            if asyncio.iscoroutine(result):
                await result

    asyncio.run(life())


def test_one_example_is_sync_and_one_is_async() -> None:
    kinds = set()
    for name in ("slugs", "chat"):
        plan = make_plan(load(EXAMPLES / f"{name}.toml"))
        spec = worker_spec(plan, next(e for e in plan.engines if e.config.kind == "python"), 0, ())
        kinds.add(is_async(build(spec)))
    assert kinds == {True, False}


def test_the_page_shows_what_the_files_hold() -> None:
    files = (EXAMPLES / "slugs.py").read_text(encoding="utf-8") + (EXAMPLES / "slugs.toml").read_text(encoding="utf-8")
    for block in re.findall(r"```(?:python|toml)\n(.*?)```", PAGE, re.DOTALL):
        for line in block.splitlines():
            shown = re.sub(r"\s+#.*", "", line).strip()
            assert not shown or shown in files or "# was: deque(maxlen=1000)" in line, line
    assert "deque(maxlen=1000)" in files


def test_every_file_that_the_page_names_is_there() -> None:
    for name in re.findall(r"\]\(([\w.]+)\)|examples/([\w.]+)", PAGE):
        assert (EXAMPLES / "".join(name)).exists()
