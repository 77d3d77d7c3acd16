"""The records of workers and the daemon, which the journal stores: one class per kind, read in one place.

A record is a complete value: invalid fields are None, or the whole record is `Unreadable`, so readers need no checks.
`body` is the original JSON, which the journal stores unchanged; no reader uses it.
"""

from soakd.wire.lines import INCIDENTS, KINDS, PROBE_DIED, READINGS, Kind, Stamp, is_reserved, opened, sealed
from soakd.wire.records.base import Record, Unreadable
from soakd.wire.records.codec import content, decode, encode, in_order, is_of_a_server, make_record, moved, with_body
from soakd.wire.records.incidents import (
    LIFE_ENDS,
    NO_PROCESS,
    SERVER_DOWN,
    SERVER_GONE,
    SERVER_LIFE_ENDS,
    FaultIncident,
    Incident,
)
from soakd.wire.records.kinds import (
    SERVER,
    Bye,
    Capture,
    FaultReport,
    Hello,
    Latency,
    Look,
    Sample,
    ServerStart,
    Snapshot,
    TypeGrowth,
)
from soakd.wire.records.marks import End, Environment, Left, Origin, Packages, Phase, Resumed

__all__ = [
    "INCIDENTS",
    "KINDS",
    "LIFE_ENDS",
    "NO_PROCESS",
    "PROBE_DIED",
    "READINGS",
    "SERVER",
    "SERVER_DOWN",
    "SERVER_GONE",
    "SERVER_LIFE_ENDS",
    "Bye",
    "Capture",
    "End",
    "Environment",
    "FaultIncident",
    "FaultReport",
    "Hello",
    "Incident",
    "Kind",
    "Latency",
    "Left",
    "Look",
    "Origin",
    "Packages",
    "Phase",
    "Record",
    "Resumed",
    "Sample",
    "ServerStart",
    "Snapshot",
    "Stamp",
    "TypeGrowth",
    "Unreadable",
    "content",
    "decode",
    "encode",
    "in_order",
    "is_of_a_server",
    "is_reserved",
    "make_record",
    "moved",
    "opened",
    "sealed",
    "with_body",
]
