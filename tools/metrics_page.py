"""Writes docs/metrics.md from the code that exports the metrics; `make golden` keeps the file.

python -m tools.metrics_page
"""

import sys
from collections.abc import Iterable, Iterator

from soakd.live.metrics import FAMILIES, backends, daemon_and_host, engines, growth, judged, runs
from soakd.live.metrics.family import Family
from soakd.live.status import BOUNDS_S
from soakd.setup.settings import PROFILES
from soakd.wire.records import INCIDENTS

SECTIONS = (
    ("The run", runs.FAMILIES),
    ("Engines, and the probes that read them", engines.FAMILIES),
    ("Servers that engines talk to", backends.FAMILIES),
    ("Growth, as the judge last saw it", growth.FAMILIES),
    ("Answers and incidents", judged.FAMILIES),
    ("soakd itself, and the host", daemon_and_host.FAMILIES),
)
HEAD = """\
# Metrics

<!-- Written from soakd/live/metrics/ by `make golden`: change the code, not this file. -->

While a run goes on, the daemon serves Prometheus' text format at `http://127.0.0.1:PORT/metrics`. The port is printed
at the start; `[http]` in the configuration sets it.

* Every series has the label `run`, {exceptions} excepted, and the labels below.
* **A value that is not known is absent, never 0**: a process that is gone has no memory. The last column says when.
* Units are base units and stand in the name. Counters go on through restarts of what they count, and never decrease.
* Labels take few values: engines and servers of the configuration, signals and checks of the judge, and the closed sets
  that are listed below the tables."""


def page() -> str:
    """Return the whole file."""
    exceptions = ", ".join(f"`{family.name}`" for family in FAMILIES if not family.run_label)
    parts = [HEAD.format(exceptions=exceptions)]
    for title, families in SECTIONS:
        parts += [f"\n## {title}\n", "| name | type | labels | unit | meaning | absent |", "|---|---|---|---|---|---|"]
        parts += [_row(family) for family in families]
    return "\n".join([*parts, *_sets(), ""])


def _row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    cells = (f"`{family.name}`", family.type, labels, family.unit, family.meaning, family.absent)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _sets() -> Iterator[str]:
    yield "\n## Closed sets\n"
    yield f"* `state`: {_words(judged.STATES)}."
    yield f"* `phase`: {_words(runs.PHASES)}."
    yield "* `decides`: `true`, `false`; of a check that is `false` the answer is informational, or waived."
    yield "* `role`: `subject`, `rival`, `twin`, `control`."
    yield f"* `profile`: {_words(PROFILES)}."
    limits = ", ".join(f"`{limit}` ({unit})" for limit, (_, unit) in engines.LIMITS.items())
    yield f"* `limit`, the keys of `[limits]` with the unit of the value: {limits}."
    yield f"* `bound`: {_words(growth.BOUNDS)}, of the 95 % interval."
    yield "* `outcome`: `ok`, `error`, `dropped`, `skipped`."
    yield "* `part`: `python`, `native`."
    yield "* `backend`: `opa`, `redis`. `source`: `private`, `url`."
    yield f"* `probe`: {_words(engines.PROBES)}."
    yield f"* `kind` of incidents: {_words(sorted(INCIDENTS))}, and `other` for what an engine names itself."
    yield f"* `le`, the buckets of the histograms, in seconds: {_words(map(repr, BOUNDS_S))}, `+Inf`."


def _words(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    sys.stdout.write(page())
