"""The resources that soakd itself uses, and those that the host has left."""

from soakd.live.metrics.family import Family, Type
from soakd.wire.signal_sums import sum_of

NOT_READ = "before the first sample"


def _own(name: str, signal: str, meaning: str, kind: Type = "gauge") -> Family:
    return Family(name, kind, (), meaning, NOT_READ, lambda status, _: [((), status.own.get(signal))])


FAMILIES = (
    _own("soakd_daemon_resident_memory_bytes", "rss_bytes", "Resident memory of the daemon"),
    _own("soakd_daemon_resident_anonymous_memory_bytes", "rss_anon_bytes", "Anonymous part of its resident memory"),
    Family(
        "soakd_daemon_live_bytes", "gauge", ("part",), "Bytes that the daemon's allocators have handed out", NOT_READ,
        lambda status, _: [((part,), status.own.get(f"live_{part}_bytes")) for part in ("python", "native")],
    ),
    Family(
        "soakd_daemon_reachable_bytes", "gauge", (), "Live bytes of the daemon that a full collection would leave",
        "before the first collection, and if collect_every is off",
        lambda status, _: [((), sum_of(status.own, "reachable_bytes"))],
    ),
    _own("soakd_daemon_open_fds", "fds", "Open file descriptors of the daemon"),
    _own("soakd_daemon_threads", "threads", "Threads of the daemon"),
    _own("soakd_daemon_cpu_seconds_total", "cpu_s_total", "Processor time of the daemon", "counter"),
    Family(
        "soakd_daemon_unreadable_records_total", "counter", (), "Records that could not be understood", "never",
        lambda status, _: [((), status.unreadable)],
    ),
    Family(
        "soakd_notifications_total", "counter", ("channel", "outcome"), "Events sent by [notify]",
        "before the first one", lambda status, _: [(key, count) for key, count in status.notifications.items()],
    ),
    _own("soakd_host_memory_pressure_ratio", "host_memory_pressure_ratio", "Share of the time with a wait for memory"),
    _own("soakd_host_cpu_pressure_ratio", "host_cpu_pressure_ratio", "Share of the time with a wait for a processor"),
    _own("soakd_host_io_pressure_ratio", "host_io_pressure_ratio", "Share of the time with a wait for the disk"),
    _own("soakd_host_cpu_steal_ratio", "host_steal_ratio", "Share of the processors that the hypervisor took"),
    _own("soakd_host_cpu_others_ratio", "host_others_ratio", "Share of the processors that other programs took"),
    _own("soakd_host_disk_free_bytes", "disk_free_bytes", "Free space on the disk of the run"),
    _own("soakd_run_disk_bytes", "run_bytes", "Size of the run's files"),
    _own("soakd_host_memory_available_bytes", "memory_available_bytes", "Memory available without swapping"),
    _own(
        "soakd_host_memory_reserve_bytes", "memory_reserve_bytes", "The run ends if less memory is available"
    ),
)  # fmt: skip
