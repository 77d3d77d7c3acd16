"""`soakd-run`: one soak, and everything that somebody who watches it expects."""

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
    state_number,
    states,
    verdict,
)

ON_ENGINE = "on (job, instance, run, engine)"
DONE = f'soakd_engine_operations_total{{{RUN}, outcome=~"ok|error"}}'
SHOWN = "soakd's docs/verdicts.md says how it is judged."


def build() -> Dashboard:
    """Build the dashboard."""
    made = begin(RUN_UID, "soakd: run", "One soak: its verdict so far, growth, memory, service, host and evidence.")
    made.link(link("One engine in depth", ENGINE_UID))
    add_row(made, "Now", *_now())
    add_row(made, "Growth", *_growth())
    add_row(made, "Memory", *_memory())
    add_row(made, "Service", *_service())
    add_row(made, "Processor, host and handles", *_host())
    add_row(made, "Checks and incidents", *_checks())
    add_row(made, "soakd itself", *_own())
    return made


def growth_of(signal: str, engine: str = "") -> list[tuple[str, str]]:
    """Return the queries of a growth panel, in bytes an hour: estimate, interval, and the limit at the planned rate."""
    matchers = f'{RUN}, signal="{signal}"{engine}'
    name = "soakd_engine_growth_bytes_per_second"
    bounds = [
        (f'3600 * {name}{{{matchers}, bound="{bound}"}}', legend)
        for bound, legend in (("estimate", "{{engine}}"), ("low", "{{engine}} low"), ("high", "{{engine}} high"))
    ]  # fmt: skip
    hourly = f'soakd_engine_limit{{{RUN}, limit="growth_rate"{engine}}}'
    by_operation = f'soakd_engine_limit{{{RUN}, limit="growth_per_operation"{engine}}}'
    planned = f"soakd_engine_planned_operations_per_second{{{RUN}{engine}}}"
    limit = f"3600 * min by (run) ({hourly} or {by_operation} * {ON_ENGINE} group_left () {planned})"
    return [*bounds, (limit, "lowest limit")]


def _now() -> list[Panel]:
    so_far = state_number("soakd_verdict_so_far_state", RUN, "run")
    left = f"soakd_run_planned_seconds{{{RUN}}} - soakd_run_elapsed_seconds{{{RUN}}}"
    coverage = f"soakd_sample_coverage_ratio{{{RUN}}}"
    bad = f'sum by (run) (increase(soakd_incidents_total{{{RUN}, kind!="server_recovered"}}[$__range]))'
    return [
        verdict("Answer so far", f"The worst answer so far of the engines that decide. {SHOWN}", (so_far, "{{run}}")),
        verdict(
            "Verdict", f"INCOMPLETE until the run has ended. {SHOWN}",
            (state_number("soakd_verdict_state", RUN, "run"), "{{run}}"),
        ),
        number("Elapsed", "Time since every engine stood ready.", "s", (f"soakd_run_elapsed_seconds{{{RUN}}}", "")),
        number("Remaining", "Time that the plan still has.", "s", (f"clamp_min({left}, 0)", "")),
        number(
            "Coverage", "Share of the samples due so far that were received; below 95 % at the end the run is INVALID.",
            "percentunit", (coverage, ""), steps=((None, "red"), (0.95, "green")), decimals=2,
        ),
        number(
            "Sample age", "Time since the last sample of an engine.", "s",
            (f"time() - soakd_last_sample_timestamp_seconds{{{RUN}}}", ""), steps=((None, "green"), (120, "red")),
        ),
        states("Verdict over time", f"The answer so far as it was at each moment. {SHOWN}", (so_far, "so far"), 12, 5),
        number(
            "Engines up", "Processes of engines that live.", "short", (f"sum(soakd_engine_up{{{RUN}}})", ""),
        ).height(5),
        number(
            "Time to a limit", "The shortest time until growth reaches a limit, if it goes on as it does; empty where "
            "nothing grows towards one.", "s", (f"min(soakd_engine_time_to_limit_seconds{{{RUN}}})", ""),
        ).height(5).no_value("none in sight"),
        number(
            "Incidents", "In the time range shown; recoveries are not counted.", "short",
            (bad, ""), steps=((None, "green"), (1, "orange")), decimals=0,
        ).height(5),
    ]  # fmt: skip


def _growth() -> list[Panel]:
    detectable = f"3600 * soakd_engine_minimum_detectable_growth_bytes_per_second{{{RUN}}}"
    ranked = f'topk(20, 3600 * soakd_engine_growth_bytes_per_second{{{RUN}, bound="estimate"}})'
    return [
        lines(
            "Growth of reachable bytes, per hour", "The leak check: what a full collection would leave. Dotted: the "
            "95 % interval. A leak shows when the lower bound is above the limit.", "decbytes",
            growth_of("reachable_bytes"), zero=False,
        ),
        lines(
            "Growth of resident memory, per hour", "The host check: anonymous, swapped and shared memory. "
            "Fragmentation and private allocators show only here. Dotted: the 95 % interval.", "decbytes",
            growth_of("resident_bytes"), zero=False,
        ),
        lines(
            "Least growth that could have failed, per hour", "What a PASS is worth: growth below this could hide.",
            "decbytes", [(detectable, "{{engine}} {{signal}}")],
        ),
        listing(
            "What grows most, per hour", "Every judged signal of every engine, the fastest first. Call sites are in "
            "the verdict and on soakd's own page, not in Prometheus.", "decbytes", (ranked, ""),
            ("job", "instance", "run", "bound"),
        ),
    ]  # fmt: skip


def _memory() -> list[Panel]:
    anonymous = f"soakd_engine_resident_anonymous_memory_bytes{{{RUN}}}"
    live = f"sum without (part) (soakd_engine_live_bytes{{{RUN}}})"
    return [
        lines("Reachable bytes", "Live bytes that a full collection would leave.", "decbytes",
              [(f"soakd_engine_reachable_bytes{{{RUN}}}", "{{engine}}")]),
        lines("Anonymous resident memory", "What the host has given each engine's process.", "decbytes",
              [(anonymous, "{{engine}}")]),
        lines("Resident memory less live bytes", "Free lists, arenas, fragmentation and private allocators.",
              "decbytes", [(f"{anonymous} - {live}", "{{engine}}")], zero=False),
        lines("Memory of servers", "Servers that engines talk to; apart from their clients.", "decbytes",
              [(f"soakd_backend_resident_memory_bytes{{{RUN}}}", "{{engine}}: {{backend}}")]),
    ]  # fmt: skip


def _service() -> list[Panel]:
    by = "job, instance, run, engine"
    outcomes = f"sum by (outcome) (rate(soakd_engine_operations_total{{{RUN}}}[$__rate_interval]))"
    done = f"sum by ({by}) (rate({DONE}[$__rate_interval]))"
    errors = f'rate(soakd_engine_operations_total{{{RUN}, outcome="error"}}[$__rate_interval])'
    buckets = f"rate(soakd_engine_service_seconds_bucket{{{RUN}}}[$__rate_interval])"
    p95 = f"histogram_quantile(0.95, {buckets})"
    before = f"histogram_quantile(0.95, rate(soakd_engine_service_seconds_bucket{{{RUN}}}[$__rate_interval] offset 1h))"
    return [
        lines("Operations by outcome", "dropped: no room for it; skipped: its time had passed.", "ops",
              [(outcomes, "{{outcome}}")]),
        lines("Achieved rate", "Operations done as a share of the configured ones; the load phase must reach 99 %.",
              "percentunit", [(f"{done} / soakd_engine_planned_operations_per_second{{{RUN}}}", "{{engine}}")]),
        lines("Service time, p95", "From the start of an operation to its end: what the latency limit judges.", "s",
              [(p95, "{{engine}}")], interval=LATENCY_INTERVAL),
        lines("Errors", "Share of the operations that failed.", "percentunit",
              [(f"sum by ({by}) ({errors}) / {done}", "{{engine}}")]),
        *(
            lines(f"Service time, {name}", "All operations of each engine.", "s",
                  [(f"histogram_quantile({share}, {buckets})", "{{engine}}")], 8, interval=LATENCY_INTERVAL)
            for name, share in (("p50", 0.5), ("p99", 0.99))
        ),
        lines("Drift of p95 in an hour", "Service p95 now, relative to an hour ago; 0 where nothing drifts.",
              "percentunit", [(f"{p95} / {before} - 1", "{{engine}}")], 8, interval=LATENCY_INTERVAL, zero=False),
    ]  # fmt: skip


def _host() -> list[Panel]:
    return [
        lines("Processor", "Cores that each engine's processes take; more than 0.8 fails the check.", "short",
              [(f"rate(soakd_engine_cpu_seconds_total{{{RUN}}}[$__rate_interval])", "{{engine}}")], 8),
        lines("Processor of servers", "Cores that servers take.", "short",
              [(f"rate(soakd_backend_cpu_seconds_total{{{RUN}}}[$__rate_interval])", "{{engine}}: {{backend}}")], 8),
        lines("Memory of the host", "Memory available without swapping; at the reserve the run ends in order.",
              "decbytes", [(f"soakd_host_memory_available_bytes{{{RUN}}}", "available"),
                           (f"soakd_host_memory_reserve_bytes{{{RUN}}}", "reserve limit")], 8),
        lines("Pressure on the host", "Share of the time in which something waited for it; a dedicated host is near 0.",
              "percentunit", [(f"soakd_host_{what}_pressure_ratio{{{RUN}}}", what) for what in ("cpu", "memory", "io")],
              8).no_value("this kernel does not say"),
        lines("Processor that others took", "The hypervisor (steal) and other programs: what a dedicated host has not.",
              "percentunit", [(f"soakd_host_cpu_steal_ratio{{{RUN}}}", "steal"),
                              (f"soakd_host_cpu_others_ratio{{{RUN}}}", "other programs")], 8),
        lines("Disk", "Size of the run's files, and what its disk has left.", "decbytes",
              [(f"soakd_run_disk_bytes{{{RUN}}}", "written"), (f"soakd_host_disk_free_bytes{{{RUN}}}", "free")], 8),
        lines("Open file descriptors", "Of each engine's process.", "short",
              [(f"soakd_engine_open_fds{{{RUN}}}", "{{engine}}")], 8),
        lines("Threads", "Of each engine's process.", "short", [(f"soakd_engine_threads{{{RUN}}}", "{{engine}}")], 8),
        lines("Swapped memory", "A process that is swapped is not measured: this must be 0.", "decbytes",
              [(f"soakd_engine_swap_bytes{{{RUN}}}", "{{engine}}")], 8),
    ]  # fmt: skip


def _checks() -> list[Panel]:
    of_check = state_number("soakd_check_state", RUN, "engine, check")
    incidents = f"sum by (kind) (increase(soakd_incidents_total{{{RUN}}}[$__rate_interval])) > 0"
    restarts = f"increase(soakd_engine_restarts_total{{{RUN}}}[$__rate_interval])"
    return [
        states("Checks over time", f"Every check of every engine, and of the run. {SHOWN}",
               (of_check, "{{engine}} {{check}}"), WIDTH, 12),
        lines("Incidents by kind", "What happened, by kind; the status page and the journal say why.", "short",
              [(incidents, "{{kind}}")]).no_value("none"),
        lines("Restarts", "Processes of engines that were started again.", "short", [(restarts, "{{engine}}")], 6),
        lines("Recovery", "How long the last one took, of servers and from faults; the limit is 5 s by default.", "s",
              [(f"soakd_backend_recovery_seconds{{{RUN}}}", "{{engine}}: {{backend}}"),
               (f"soakd_fault_recovery_seconds{{{RUN}}}", "{{engine}}: {{fault}}")], 6).no_value("none was needed"),
        listing("Engines", "What is soaked.", "short", (f"soakd_engine_info{{{RUN}}}", ""),
                ("job", "instance", "run", "Value"), WIDTH),
    ]  # fmt: skip


def _own() -> list[Panel]:
    return [
        lines("Memory of the daemon", "It judges itself as well: growth here is soakd's own.", "decbytes",
              [(f"soakd_daemon_resident_memory_bytes{{{RUN}}}", "resident"),
               (f"soakd_daemon_resident_anonymous_memory_bytes{{{RUN}}}", "anonymous"),
               (f"sum(soakd_daemon_live_bytes{{{RUN}}})", "live"),
               (f"soakd_daemon_reachable_bytes{{{RUN}}}", "reachable")], 8),
        lines("Processor of the daemon", "Cores; the judge's runs are processes of their own.", "short",
              [(f"rate(soakd_daemon_cpu_seconds_total{{{RUN}}}[$__rate_interval])", "daemon")], 8),
        lines("Handles of the daemon", "Open file descriptors and threads.", "short",
              [(f"soakd_daemon_open_fds{{{RUN}}}", "fds"), (f"soakd_daemon_threads{{{RUN}}}", "threads")], 8),
        lines("Probes", "How long each reading takes, the slowest engine of each probe.", "s",
              [(f"max by (probe) (soakd_probe_duration_seconds{{{RUN}}})", "{{probe}}")]),
        lines("Probes that failed, records not understood", "Both must be 0: what is not measured is no PASS.", "short",
              [(f"sum by (probe) (increase(soakd_probe_failures_total{{{RUN}}}[$__rate_interval]))", "{{probe}}"),
               (f"increase(soakd_daemon_unreadable_records_total{{{RUN}}}[$__rate_interval])", "records")]),
    ]  # fmt: skip
