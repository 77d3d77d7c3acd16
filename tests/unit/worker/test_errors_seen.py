"""Examples of errors: few, one for each place, and nothing stays of them in the judged process."""

import gc
import linecache
import sys
from typing import Any

from soakd.worker.errors_seen import MOST_EXAMPLES, ErrorsSeen


class Sent(list[Any]):
    def send(self, kind: str, body: Any) -> None:
        self.append((kind, body))


def raised(source: str, filename: str = "<made up>") -> Exception:
    try:
        exec(compile(source, filename, "exec"), {})
    except Exception as error:
        return error
    raise AssertionError("it raised nothing")


def seeing(records: Any) -> ErrorsSeen:
    return ErrorsSeen(records)


def test_each_place_gives_one_example_and_there_are_few() -> None:
    sent = Sent()
    seen = seeing(sent)
    for _ in range(3):
        for line in range(50):
            seen(raised("\n" * line + "1 / 0"))
    assert len(sent) == MOST_EXAMPLES
    assert {kind for kind, _ in sent} == {"incident"}
    assert sent[0][1]["what"] == "operation_error"
    assert "ZeroDivisionError" in sent[0][1]["detail"]
    assert sent[0][1]["traceback"].startswith("Traceback")


def test_an_example_quotes_source_and_keeps_none_of_it(tmp_path: Any) -> None:
    file = tmp_path / "large.py"
    source = "x = 1\n" * 5000 + "x = {}['missing']\n"
    file.write_text(source, encoding="utf-8")
    sent = Sent()
    seen = seeing(sent)
    error = RuntimeError("and why")
    error.__cause__ = raised(source, str(file))
    gc.collect()
    before = sys.getallocatedblocks()
    seen(error)
    gc.collect()
    assert "x = {}['missing']" in sent[0][1]["traceback"]
    assert sys.getallocatedblocks() - before < 500
    assert str(file) not in linecache.cache
