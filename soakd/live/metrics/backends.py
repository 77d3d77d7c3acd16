"""The servers that engines talk to. The label `backend` is their kind: opa or redis."""

from collections.abc import Callable

from soakd.live.metrics.family import Family, Type, Value, Values
from soakd.live.status import RunStatus, ServerStatus

NO_SERVER = "if the engine has no server that soakd watches"
NOT_READ = f"{NO_SERVER}; while it is down, or could not be read"


def _server(name: str, kind: Type, meaning: str, absent: str, value_of: Callable[[ServerStatus], Value]) -> Family:
    """Make a family with one series per server."""

    def read(status: RunStatus, _: float) -> Values:
        servers = ((engine.name, engine.server) for engine in status.engines.values())
        return [((engine, server.kind), value_of(server)) for engine, server in servers if server is not None]

    return Family(name, kind, ("engine", "backend"), meaning, absent, read)


def _process(name: str, signal: str, meaning: str) -> Family:
    return _server(name, "gauge", meaning, NOT_READ, lambda server: server.latest.get(signal) if server.up else None)


def _info(status: RunStatus, _: float) -> Values:
    for engine in status.engines.values():
        if (server := engine.server) is not None and server.backend is not None:
            yield (engine.name, server.kind, server.backend, server.version or ""), 1.0


FAMILIES = (
    Family(
        "soakd_backend_info", "info", ("engine", "backend", "source", "version"),
        "The server: private if soakd started it, url if it was already running", f"{NO_SERVER}, or it never was up",
        _info,
    ),
    _server(
        "soakd_backend_up", "gauge", "1 while the server answers", f"{NO_SERVER}, or nothing is known of it yet",
        lambda server: None if server.up is None else float(server.up),
    ),
    _process("soakd_backend_resident_memory_bytes", "rss_bytes", "Resident memory of the server"),
    _process(
        "soakd_backend_resident_anonymous_memory_bytes", "rss_anon_bytes", "Anonymous part of its resident memory"
    ),
    _process("soakd_backend_swap_bytes", "swap_bytes", "Swapped memory of the server"),
    _process(
        "soakd_backend_live_bytes", "live_bytes",
        "Live heap as the server reports it: used_memory of Redis, half of the next collection's mark of OPA",
    ),
    _process("soakd_backend_open_fds", "fds", "Open file descriptors of the server"),
    _process("soakd_backend_threads", "threads", "Threads of the server"),
    _server(
        "soakd_backend_cpu_seconds_total", "counter", "Processor time of the server, through all its lives",
        f"{NO_SERVER}, or its processor time cannot be read",
        lambda server: server.cpu_s.total if server.cpu_s else None,
    ),
    _server(
        "soakd_backend_restarts_total", "counter", "Restarts of the server", NO_SERVER, lambda server: server.restarts
    ),
    _server(
        "soakd_backend_recovery_seconds", "gauge",
        "Last recovery time: from the server's exit, or its first unanswered request, until it answered again",
        f"{NO_SERVER}, or it never had to recover", lambda server: server.recovery_s,
    ),
)  # fmt: skip
