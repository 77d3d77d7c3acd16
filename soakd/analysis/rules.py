"""What a run of some length may say about growth. Numbers only, so that preflight can quote them without numpy."""

from collections.abc import Mapping

LEAST_HOURS = 2.0
"""An hourly limit needs hours: warm-ups, fills and half a sawtooth look like leaks before."""
LEAST_OPERATIONS = 10_000
FINAL_FROM = 0.80
"""Before this share of the plan there is only a "so far": healthy services fail a third of the looks at 2 h of 24."""

RESOLUTION_BYTES: Mapping[str, float] = {
    "reachable_bytes": 64e3,
    "reachable_python_bytes": 64e3,
    "reachable_native_bytes": 64e3,
    "live_bytes": 256e3,
    "live_python_bytes": 256e3,
    "live_native_bytes": 256e3,
    "rust_bytes": 64e3,
    "python_free_bytes": 256e3,
    "native_free_bytes": 256e3,
    "rss_anon_bytes": 4e6,
    "rss_bytes": 4e6,
    "pss_bytes": 4e6,
    "uss_bytes": 4e6,
}
"""Growth over the load phase below which a FAIL is not believed."""
BYTE_SIGNALS = tuple(RESOLUTION_BYTES)
LIVE_SIGNALS = ("reachable_bytes", "rss_anon_bytes", "live_bytes")
"""What is judged while the run goes on: what decides, and what tells garbage from a leak."""
