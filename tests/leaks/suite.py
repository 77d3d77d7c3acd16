"""All cases, and which of them were not seen while the method was worked out."""

from tests.leaks import healthy_known, healthy_last, healthy_later, healthy_unseen, known, last, later, unseen
from tests.leaks.cases import Case

LEAKS = {"known": known.CASES, "unseen": unseen.CASES, "later": later.CASES, "last": last.CASES}
HEALTHY = {
    "known": healthy_known.CASES, "unseen": healthy_unseen.CASES, "later": healthy_later.CASES,
    "last": healthy_last.CASES,
}  # fmt: skip


def find(name: str) -> tuple[Case, bool]:
    """Return a case by its name, and whether it is healthy."""
    for table, healthy in ((LEAKS, False), (HEALTHY, True)):
        for case in (case for cases in table.values() for case in cases):
            if case.name == name:
                return case, healthy
    raise LookupError(name)
