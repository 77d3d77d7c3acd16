"""One soak of engines that are odd in ways that do not meet: what is claimed of each is read from the same verdict."""

import json
import os
import subprocess
import sys

import psutil
import pytest

from tests.integration.test_soak import Soak, config_text, finished

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Soak:
    """A soak that has ended, of an engine with dangerous finalizers and one whose errors no UTF-8 can carry."""
    folder = tmp_path_factory.mktemp("odd")
    engines = (
        ("finalizers", "leaking:dangerous_finalizers", "{}"),
        ("surrogates", "misbehaving:raises_what_utf8_cannot_carry", "{}"),
    )
    (folder / "soak.toml").write_text(config_text(*engines, duration="24s", every="400ms"), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "soakd", "run", "soak.toml", "--run-dir", "out"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    return finished(process, folder)


def test_a_finalizer_in_the_child_takes_nothing_from_the_engine(odd: Soak) -> None:
    assert odd.check("finalizers", "errors.ratio")["estimate"] == 0, odd.verdict["incidents"]
    assert odd.check("finalizers", "evidence.probe")["verdict"] == "PASS"


def test_a_text_that_utf8_cannot_carry_harms_no_file(odd: Soak) -> None:
    assert odd.code == 1, odd.stderr
    assert odd.engine("surrogates")["verdict"] == "FAIL"
    assert any(i.get("detail") == "ValueError: bad \\udcff" for i in odd.verdict["incidents"])
    assert {"verdict.md", "verdict.junit.xml"} <= {path.name for path in odd.folder.iterdir()}


def test_the_environment_of_the_run_is_recorded(odd: Soak) -> None:
    environment = json.loads((odd.folder / "environment.json").read_text(encoding="utf-8"))
    assert environment["host"]["kernel"] == os.uname().release
    assert environment["versions"]["psutil"] == psutil.__version__
