"""Finds the mappings that grow, by name: resident bytes of files, shared memory and named anonymous memory.

Source: proc_pid_smaps(5).
"""

import re
from collections import Counter
from contextlib import suppress

from soakd.wire.sites import Site
from soakd.worker.attribution.frames import fingerprint
from soakd.worker.attribution.gains import between

LEAST_BYTES_PER_OPERATION = 16.0
LEAST_GAIN_BYTES = 262_144
MOST_NAMES, MOST_SITES = 1000, 3
UNNAMED = "anonymous memory"
HEAP = "[heap]"
_HEADER = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+ *(.*)$")
_NUMBER = re.compile(r"\d+")


def resident() -> Counter[str]:
    """Add up the resident bytes of this process's mappings by name; empty if they cannot be read."""
    found: Counter[str] = Counter()
    name = UNNAMED
    with suppress(OSError), open("/proc/self/smaps", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("Rss:"):
                if len(found) < MOST_NAMES or name in found:
                    found[name] += int(line.split()[1]) * 1024
            elif (header := _HEADER.match(line)) is not None:
                name = _NUMBER.sub("#", header[1]) or UNNAMED
    return found


def growing(readings: list[Counter[str]], operations: tuple[int, int]) -> list[Site]:
    """Return the names whose resident bytes grew in both windows, at a rate that lasts."""
    rates = {}
    for name, gain in between(readings, operations):
        enough = gain.second >= LEAST_GAIN_BYTES and gain.per_operation >= LEAST_BYTES_PER_OPERATION
        if enough and gain.lasts:
            rates[name] = gain.per_operation
    return [
        Site(
            fingerprint=fingerprint(f"mapping {name}", []), place=f"mapping: {name}", tool="smaps",
            bytes_per_operation=round(rates[name], 1), last_resort=name in (UNNAMED, HEAP),
            confidence="low" if name in (UNNAMED, HEAP) else "medium",
        )
        for name in sorted(rates, key=lambda name: -rates[name])[:MOST_SITES]
    ]  # fmt: skip
