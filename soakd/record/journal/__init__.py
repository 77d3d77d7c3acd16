"""The journal: every record of a run in one SQLite file, committed in batches of at most a second.

One thread writes; everything else reads. A record is published (`on_commit`) only after it was committed, so everything
that was ever shown is in the file. Write-ahead logging lets the judge read at the same time, and limits the loss by
`kill -9` to the batch in flight.
"""

from soakd.record.journal.reading import (
    check_whole,
    has_begun,
    query,
    read_by_id,
    read_latest,
    read_latest_number,
    read_meta,
    read_records,
    read_since,
    read_spread,
)
from soakd.record.journal.schema import SCHEMA_VERSION
from soakd.record.journal.writing import Journal

__all__ = [
    "SCHEMA_VERSION",
    "Journal",
    "check_whole",
    "has_begun",
    "query",
    "read_by_id",
    "read_latest",
    "read_latest_number",
    "read_meta",
    "read_records",
    "read_since",
    "read_spread",
]
