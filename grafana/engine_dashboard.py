"""`soakd-engine`: one engine in depth, its rival or twin beside it."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.parts import (
    ENGINE_UID,
    LATENCY_INTERVAL,
    RUN,
    RUN_UID,
    WIDTH,
    Panel,
    add_row,
    begin,
    lines,
    link,
    listing,
    number,
    spread,
    state_number,
    states,
    variable,
)
from grafana.run_dashboard import growth_of

ONE = f'{RUN}, engine="$engine"'
BOTH = f'{RUN}, engine=~"$engine|$beside"'
BY = "job, instance, run, engine"


def build() -> Dashboard:
    """Build the dashboard."""
    made = begin(ENGINE_UID, "soakd: engine", "One engine in depth, and beside it what it is compared with.")
    engines = f"label_values(soakd_engine_info{{{RUN}}}, engine)"
    made.with_variable(variable("engine", "Engine", engines, multi=False, every=False))
    made.with_variable(variable("beside", "Beside it", engines, multi=True, every=True))
    made.link(link("The whole run", RUN_UID))
    add_row(made, "Now", *_now())
    add_row(made, "Growth", *_growth())
    add_row(made, "Memory", *_memory())
    add_row(made, "Service", *_service())
    add_row(made, "What the engine counts, and its server", *_counted())
    add_row(made, "Beside it", *_beside())
    return made


def _now() -> list[Panel]:
    achieved = f"sum({_done(ONE)}) / sum(soakd_engine_planned_operations_per_second{{{ONE}}})"
    errors = f'rate(soakd_engine_operations_total{{{ONE}, outcome="error"}}[$__rate_interval])'
    fails = f'sum(soakd_check_state{{{ONE}, state="FAIL"}})'
    return [
        number("Up", "1 while its process lives.", "short", (f"soakd_engine_up{{{ONE}}}", ""),
               steps=((None, "red"), (1, "green"))),
        number("Checks that fail so far", "Informational ones included; docs/verdicts.md names each.", "short",
               (fails, ""), steps=((None, "green"), (1, "red")), decimals=0),
        number("Achieved rate", "Share of the configured operations that are done.", "percentunit", (achieved, ""),
               steps=((None, "red"), (0.75, "orange"), (0.99, "green")), decimals=2),
        number("Errors", "Share of the operations that fail.", "percentunit",
               (f"sum({errors}) / sum({_done(ONE)})", ""),
               steps=((None, "green"), (0.005, "orange"), (0.01, "red")), decimals=2),
        number("Time to a limit", "Until growth reaches a limit, if it goes on as it does.", "s",
               (f"soakd_engine_time_to_limit_seconds{{{ONE}}}", "")).no_value("none in sight"),
        number("Restarts", "Of its process, in the time range shown.", "short",
               (f"increase(soakd_engine_restarts_total{{{ONE}}}[$__range])", ""),
               steps=((None, "green"), (1, "orange")), decimals=0),
        states("Its checks over time", "The answer so far of each check.",
               (state_number("soakd_check_state", ONE, "check"), "{{check}}"), 16),
        listing("Its limits", "What the configuration allows, in base units (docs/metrics.md).", "none",
                (f"soakd_engine_limit{{{ONE}}}", ""), ("job", "instance", "run", "engine"), 8),
    ]  # fmt: skip


def _growth() -> list[Panel]:
    growth = f'soakd_engine_growth_bytes_per_second{{{ONE}, bound="estimate"}}'
    least = f"soakd_engine_minimum_detectable_growth_bytes_per_second{{{ONE}}}"
    return [
        lines("Growth of reachable bytes, per hour", "The leak check, with its 95 % interval and the limit.",
              "decbytes", growth_of("reachable_bytes", ', engine="$engine"'), zero=False),
        lines("Growth of resident memory, per hour", "The host check: anonymous, swapped and shared memory, with "
              "its 95 % interval and the limit.", "decbytes", growth_of("resident_bytes", ', engine="$engine"'),
              zero=False),
        lines("Growth of every judged signal, per hour", "Where they differ, the difference has its place: live "
              "without reachable is garbage, anonymous without live is fragmentation.", "decbytes",
              [(f"3600 * {growth}", "{{signal}}"), (f"3600 * {least}", "{{signal}}: least that would be seen")],
              zero=False),
        lines("Growth per operation", "Bytes that remain of each operation.", "decbytes",
              [(f"soakd_engine_growth_bytes_per_operation{{{ONE}}}", "{{signal}}"),
               (f'soakd_engine_limit{{{ONE}, limit="growth_per_operation"}}', "limit")], zero=False),
    ]  # fmt: skip


def _memory() -> list[Panel]:
    anonymous = f"soakd_engine_resident_anonymous_memory_bytes{{{ONE}}}"
    live = f"sum without (part) (soakd_engine_live_bytes{{{ONE}}})"
    return [
        lines("Levels", "From what the host gave to what a collection would leave.", "decbytes", [
            (f"soakd_engine_resident_memory_bytes{{{ONE}}}", "resident"), (anonymous, "anonymous"),
            (f"soakd_engine_proportional_memory_bytes{{{ONE}}}", "proportional"), (live, "live"),
            (f"soakd_engine_reachable_bytes{{{ONE}}}", "reachable"),
        ]),
        lines("Live bytes by part", "Python's and native blocks; Rust's are a part of the native ones.", "decbytes", [
            (f"soakd_engine_live_bytes{{{ONE}}}", "{{part}}"), (f"soakd_engine_rust_bytes{{{ONE}}}", "rust"),
        ]),
        lines("Resident less live, live less reachable", "Slack of the allocators; garbage that waits.", "decbytes", [
            (f"{anonymous} - {live}", "slack"), (f"{live} - soakd_engine_reachable_bytes{{{ONE}}}", "garbage"),
        ], 8, zero=False),
        lines("Handles", "Open file descriptors, threads, asyncio tasks.", "short", [
            (f"soakd_engine_open_fds{{{ONE}}}", "fds"), (f"soakd_engine_threads{{{ONE}}}", "threads"),
            (f"soakd_engine_tasks{{{ONE}}}", "tasks"),
        ], 8),
        lines("Swapped and shared memory", "A process that is swapped out is slow; both count as resident memory.",
              "decbytes", [(f"soakd_engine_swap_bytes{{{ONE}}}", "swapped"),
                           (f"soakd_engine_shared_memory_bytes{{{ONE}}}", "shared"),
                           (f"soakd_engine_host_memory_bytes{{{ONE}}}", "anonymous, swapped and shared")], 8),
    ]  # fmt: skip


def _service() -> list[Panel]:
    limit = (f'soakd_engine_limit{{{ONE}, limit="latency_p95"}}', "p95 limit")
    outcomes = f"rate(soakd_engine_operations_total{{{ONE}}}[$__rate_interval])"
    cpu = f"rate(soakd_engine_cpu_seconds_total{{{ONE}}}[$__rate_interval])"
    return [
        lines("Service time", "From the start of an operation to its end.", "s",
              [*_quantiles("service", ONE), limit], interval=LATENCY_INTERVAL),
        lines("Response time and lateness", "From the scheduled start to the end; how late operations started.", "s",
              [*_quantiles("response", ONE), (f"soakd_engine_lateness_seconds{{{ONE}}}", "lateness p99")],
              interval=LATENCY_INTERVAL),
        spread("Service time, all of it", "How many operations took how long.", "soakd_engine_service_seconds", ONE),
        lines("Drift of p95 in an hour", "Service p95 now, relative to an hour ago.", "percentunit",
              [(f"{_p95(ONE)} / {_p95(ONE, ' offset 1h')} - 1", "{{engine}}")], interval=LATENCY_INTERVAL, zero=False),
        lines("Operations by outcome", "dropped: no room for it; skipped: its time had passed.", "ops",
              [(outcomes, "{{outcome}}"), (f"soakd_engine_planned_operations_per_second{{{ONE}}}", "planned")]),
        lines("Processor", "Cores that its processes take.", "short",
              [(cpu, "cores"), (f'soakd_engine_limit{{{ONE}, limit="cpu_ratio"}}', "limit")], 6),
        lines("Processor per operation", "Seconds of a core.", "s",
              [(f"sum by ({BY}) ({cpu}) / {_done(ONE)}", "{{engine}}")], 6),
    ]  # fmt: skip


def _counted() -> list[Panel]:
    names = ("retries", "timeouts", "connection_errors", "reloads", "served_by_other")
    counted = [
        (f"rate(soakd_engine_{name}_total{{{ONE}}}[$__rate_interval])", name.replace("_", " ")) for name in names
    ]
    compared = [
        (f"rate(soakd_engine_{name}_total{{{ONE}}}[$__rate_interval])", name) for name in ("compared", "disagreements")
    ]
    server = "soakd_backend_{}{{{}}}"
    return [
        lines("Attempts and reloads", "Per second; empty where the engine does not count them.", "ops",
              counted).no_value("not counted by this engine"),
        lines("Decisions compared", "Operations that both paths were asked; disagreements must be 0.", "ops",
              compared).no_value("this engine compares nothing"),
        lines("Memory of its server", "Apart from the client's.", "decbytes", [
            (server.format("resident_memory_bytes", ONE), "resident"),
            (server.format("resident_anonymous_memory_bytes", ONE), "anonymous"),
            (server.format("live_bytes", ONE), "live"),
        ], 8).no_value("no server"),
        lines("Processor of its server", "Cores.", "short",
              [(f"rate(soakd_backend_cpu_seconds_total{{{ONE}}}[$__rate_interval])", "{{backend}}")], 8)
        .no_value("no server"),
        lines("Handles of its server", "Open file descriptors and threads.", "short",
              [(server.format("open_fds", ONE), "fds"), (server.format("threads", ONE), "threads")], 8)
        .no_value("no server"),
        lines("Its probes", "How long each reading takes.", "s",
              [(f"soakd_probe_duration_seconds{{{ONE}}}", "{{probe}}")], WIDTH),
    ]  # fmt: skip


def _beside() -> list[Panel]:
    cpu = f"sum by ({BY}) (rate(soakd_engine_cpu_seconds_total{{{BOTH}}}[$__rate_interval]))"
    growth = f'{BOTH}, signal="reachable_bytes", bound="estimate"'
    titled = (
        ("Service time, p95", "Of both.", "s", _p95(BOTH)),
        ("Processor per operation", "Seconds of a core; a server's own is not in it.", "s", f"{cpu} / {_done(BOTH)}"),
        ("Operations done", "Per second.", "ops", _done(BOTH)),
        ("Reachable bytes", "Of both.", "decbytes", f"soakd_engine_reachable_bytes{{{BOTH}}}"),
        ("Anonymous resident memory", "Of both.", "decbytes",
         f"soakd_engine_resident_anonymous_memory_bytes{{{BOTH}}}"),
        ("Growth of reachable bytes, per hour", "Of both.", "decbytes",
         f"3600 * soakd_engine_growth_bytes_per_second{{{growth}}}"),
    )  # fmt: skip
    return [
        lines(f"{title}, beside", text, unit, [(query, "{{engine}}")], 8, interval=LATENCY_INTERVAL)
        for title, text, unit, query in titled
    ]


def _done(matchers: str) -> str:
    done = f'soakd_engine_operations_total{{{matchers}, outcome=~"ok|error"}}'
    return f"sum by ({BY}) (rate({done}[$__rate_interval]))"


def _p95(matchers: str, offset: str = "") -> str:
    buckets = f"soakd_engine_service_seconds_bucket{{{matchers}}}[$__rate_interval]{offset}"
    return f"histogram_quantile(0.95, rate({buckets}))"


def _quantiles(what: str, matchers: str) -> Sequence[tuple[str, str]]:
    buckets = f"rate(soakd_engine_{what}_seconds_bucket{{{matchers}}}[$__rate_interval])"
    return [(f"histogram_quantile({q / 100}, {buckets})", f"p{q}") for q in (50, 95, 99)]
