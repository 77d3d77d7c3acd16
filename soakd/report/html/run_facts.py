"""Plain values about the whole run: figures, soakd's own share, environment, commands."""

import shlex
from collections.abc import Callable, Iterator

from soakd.report.html.material import Material
from soakd.report.html.rendering import UNKNOWN, calm, duration, quantity, words
from soakd.verdict.types import EngineVerdict, Observer, Verdict
from soakd.verdict.wording import control_word, quantity_words

Pairs = list[tuple[str, str]]
"""Names and values."""


def eyebrow(material: Material) -> list[str]:
    """Return the name, host and start of the run."""
    run = material.run
    host = (run.host or {}).get("name") or "an unknown host"
    started = (run.started_at or "").replace("T", " ").removesuffix("Z").partition(".")[0]
    when = f"began {started} UTC" if started else "never began"
    return ["soakd report", run.name or material.verdict.run_id, str(host), when]


def facts(material: Material) -> Pairs:
    """Return the main figures of the run."""
    run, verdict = material.run, material.verdict
    roles = [engine.role for engine in material.engines]
    restarts = sum(max(0, len(engine.segments) - 1) for engine in material.engines)
    late = sum(fault.verdict == "FAIL" for fault in verdict.faults)
    late_words = f", {late} not recovered in time" if late else ""
    return [
        ("seen of the plan", f"{duration(run.observed_seconds)} of {duration(run.planned_seconds)}"),
        ("samples received", UNKNOWN if run.coverage_ratio is None else f"{run.coverage_ratio:.1%}"),
        ("engines", ", ".join(f"{roles.count(role)} {role}" for role in dict.fromkeys(roles)) or "none"),
        ("restarts", f"{restarts}" if restarts else "none"),
        ("faults on purpose", f"{len(verdict.faults)}{late_words}" if verdict.faults else "none"),
        ("incidents", f"{len(verdict.incidents):,}" if verdict.incidents else "none"),
    ]  # fmt: skip


def control_words(verdict: Verdict, engine: EngineVerdict) -> tuple[str, str]:
    """Return the state of a control: for its colour, and in words."""
    judged = verdict.controls.of_kind(engine.kind) if verdict.controls else None
    state = judged.verdict if judged else "INCOMPLETE"
    word = control_word(engine.kind, state) or state
    return calm(word, state), word


def observer(found: Observer | None) -> Pairs:
    """Return what soakd itself used."""
    return list(_observer(found)) if found else []


def _observer(found: Observer) -> Iterator[tuple[str, str]]:
    if found.cpu_ratio is not None:
        yield "processor", f"{found.cpu_ratio:.2%} of a core"
    if found.resident_bytes is not None:
        yield "resident memory", quantity(found.resident_bytes, "bytes")
    name = "growth_bytes_per_hour"
    if found.growth_bytes_per_hour is not None:
        yield "growth of the daemon", _interval(found, name, lambda rate: quantity_words(rate, "bytes/hour"))
    if found.harness_growth_bytes_per_operation is not None:
        share = _interval(found, "harness_growth_bytes_per_operation", lambda rate: f"{rate:.3g} B/op")
        yield "soakd's share of every engine's growth", share


def _interval(found: Observer, name: str, write: Callable[[float], str]) -> str:
    estimate, low, high = (getattr(found, name + suffix) for suffix in ("", "_low", "_high"))
    return write(estimate) + ("" if low is None or high is None else f" [{write(low)}, {write(high)}]")


def environment(material: Material) -> Pairs:
    """Return the host, commit and versions of the run."""
    run = material.run
    host = dict(run.host or {})
    memory = host.pop("memory_bytes", None)
    return [
        *((words(name), str(UNKNOWN if value is None else value)) for name, value in host.items()),
        *([] if memory is None else [("memory", quantity(memory, "bytes"))]),
        ("commit", run.git_commit or "unknown: the configuration lies in no git repository"),
        ("versions", ", ".join(f"{name} {version}" for name, version in (run.versions or {}).items()) or UNKNOWN),
    ]  # fmt: skip


def commands(material: Material) -> list[str]:
    """Return the commands that judge the run again, and run it again."""
    run_id = shlex.quote(material.verdict.run_id)
    overrides = "".join(f" --set {shlex.quote(override)}" for override in material.overrides)
    return [
        f"soakd judge {run_id}        # the same verdict from the same journal",
        f"soakd report {run_id}       # this page",
        f"soakd export {run_id} --csv  # every sample, for other tools",
        f"soakd run soak.toml{overrides}   # again: {duration(material.run.planned_seconds)}",
    ]
