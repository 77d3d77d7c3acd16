"""An engine around a package that only its own environment has; it says what its process has loaded."""

import importlib
import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Foreign:
    """Calls the package once an operation; writes a report when it is closed."""

    def __init__(self, package: str, report: str, hidden: Sequence[str]) -> None:
        self._package: Any = importlib.import_module(package)
        self._report = Path(report)
        self._hidden = hidden

    def operation(self, op: Any) -> str:
        greeting: str = self._package.greet(op.key)
        return greeting

    def counters(self) -> dict[str, float]:
        return {"release": self._package.RELEASE}

    def close(self) -> None:
        report = {
            "version": list(sys.version_info[:2]),
            "prefix": sys.prefix,
            "release": self._package.RELEASE,
            "modules": sorted(sys.modules),
            "found": [name for name in self._hidden if importlib.util.find_spec(name) is not None],
        }
        self._report.write_text(json.dumps(report), encoding="utf-8")


def make(package: str, report: str, hidden: Sequence[str]) -> Foreign:
    return Foreign(package, report, hidden)
