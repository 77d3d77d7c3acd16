import json
from pathlib import Path

import pytest

from soakd import rundir


def test_json_with_a_lone_surrogate_is_written_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    rundir.write_atomically(path, rundir.to_json({"detail": "bad \udcff, good \u00e9"}))
    assert json.loads(path.read_text(encoding="utf-8")) == {"detail": "bad \\udcff, good \u00e9"}


@pytest.mark.parametrize("name", [rundir.SUMMARY, rundir.JUNIT])
def test_any_text_of_a_report_is_written(tmp_path: Path, name: str) -> None:
    rundir.write_atomically(tmp_path / name, "bad \udcff")
    assert (tmp_path / name).read_text(encoding="utf-8") == "bad \\udcff"
