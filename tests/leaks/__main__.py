"""`python -m tests.leaks [NAME ...] [--jobs 2]`: look at every planted leak and every healthy engine, and keep score.

Exit code 0 where the true line came first in 90 % of the leaks and among the first three in all, with the route that
the growth asks for, and where no healthy engine was given a line.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.leaks.cases import ROOT, Case, rank
from tests.leaks.suite import HEALTHY, LEAKS

TRIAL = Path(__file__).with_name("trial.py")
"""Given as text: code without a file is nobody's application, as the worker is not."""
WITHIN_S = 500.0
FIRST_SHARE, AMONG = 0.9, 3
Rank = tuple[str, bool, int | None, bool, bool]
"""Group, healthy, rank, whether the line itself is first, whether anything was named or could not be looked at."""


def main() -> int:
    """Run the cases, print a line for each, and the score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="cases; all where none is named")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sites", action="store_true", help="print every site that was named")
    arguments = parser.parse_args()
    chosen = [
        (group, case, table is HEALTHY) for table in (LEAKS, HEALTHY) for group, cases in table.items()
        for case in cases if not arguments.names or case.name in arguments.names
    ]  # fmt: skip
    with ThreadPoolExecutor(arguments.jobs) as pool:
        answers = pool.map(lambda entry: take(entry[1]), chosen)
        ranks: list[Rank] = []
        for (group, case, healthy), answer in zip(chosen, answers, strict=True):
            found = rank(case, answer["sites"])
            by_line = rank(case, answer["sites"], containers=False)
            ranks.append((group, healthy, found, by_line == 1, bool(answer["sites"] or answer["failures"])))
            print("  ".join(_words(group, case, answer, found, healthy=healthy)), flush=True)
            if arguments.sites:
                for site in answer["sites"]:
                    print("     ", site.get("bytes_per_operation"), site["site"], site.get("held_by", ""), flush=True)
    return _score(ranks)


def take(case: Case) -> dict[str, Any]:
    """Take one case in a process of its own."""
    command = [sys.executable, "-c", TRIAL.read_text(encoding="utf-8"), case.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WITHIN_S, cwd=ROOT)
    if done.returncode != 0:
        why = done.stderr.strip().rpartition("\n")[2]
        return {"growth": {}, "routes": [], "looked": [], "failures": [why], "sites": []}
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _words(
    group: str, case: Case, answer: Mapping[str, Any], found: int | None, *, healthy: bool
) -> Iterator[str]:  # fmt: skip
    growth = answer["growth"]
    each = sum(growth.get(f"reachable_{part}_bytes", 0.0) for part in ("python", "native"))
    right = not answer["sites"] if healthy else found == 1
    yield "ok " if right and not answer["failures"] else "NOT"
    yield f"{'healthy' if healthy else 'leak'} {group:7} {case.name:24}"
    yield f"{each:8.1f} B/op  {'+'.join(answer['looked']) or '-':13}"
    if not healthy:
        yield f"rank {found or '-'} of {len(answer['sites'])}"
    first = answer["sites"][0] if answer["sites"] else None
    yield f"{first['site']} {first.get('bytes_per_operation', '')}" if first else "no site"
    yield from (f"FAILED: {why}" for why in answer["failures"])


def _score(ranks: list[Rank]) -> int:
    good = True
    for group in sorted({entry[0] for entry in ranks}):
        leaks = [found for g, healthy, found, _, _ in ranks if g == group and not healthy]
        lines = sum(line for g, healthy, _, line, _ in ranks if g == group and not healthy)
        named = [wrong for g, healthy, _, _, wrong in ranks if g == group and healthy]
        first = sum(found == 1 for found in leaks)
        among = sum(found is not None and found <= AMONG for found in leaks)
        print(
            f"{group}: the true line or container first in {first} of {len(leaks)}, the line itself in {lines}, "
            f"among the first {AMONG} in {among}; "
            f"{sum(named)} of {len(named)} healthy engines were given a line or could not be looked at"
        )
        good = good and first >= FIRST_SHARE * len(leaks) and among == len(leaks) and not any(named)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
