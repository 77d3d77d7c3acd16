"""`make bench`: the budgets, measured. Ratios within one run mean more than figures: machines drift.

Run all, or name some: `python -m benches.bench sample driver`.
"""

import importlib
import sys
import time
from collections.abc import Sequence

PARTS = ("driver", "sample", "attribution", "soak", "native", "rivals", "growth", "judge", "report", "page")


def main(names: Sequence[str]) -> int:
    """Print one table a part."""
    for name in names or PARTS:
        if name not in PARTS:
            print(f"no part {name}; parts: {', '.join(PARTS)}", file=sys.stderr)
            return 2
        part = importlib.import_module(f"benches.bench_{name}")
        print(f"\n{name}: {part.TITLE}", flush=True)
        started_s = time.monotonic()
        for what, value, unit, remark in part.rows():
            print(f"  {what:48} {value:>12,.3f} {unit:12} {remark}", flush=True)
        print(f"  ({time.monotonic() - started_s:.0f} s)", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
