"""The content of operations: shares of verbs, zipf keys, and inputs for the shipped policies.

A mix names the shares of reads, writes and admin operations, and the users, documents and tenants in its inputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from soakd.wire.spec import Verb

USERS = 200
TENANTS = ("acme", "globex", "initech")
PROJECTS = ("apollo", "borealis", "cascade")
DOCUMENTS = 1_000
RESOURCES = ("document", "invoice", "report", "account", "setting")
ACTIONS: Mapping[Verb, tuple[str, ...]] = {
    "read": ("read", "list"),
    "write": ("create", "update", "delete"),
    "admin": ("grant", "configure"),
}
CLASSIFICATIONS = ("public", "internal", "internal", "restricted")
VALUE_SIZES_BYTES = (64, 128, 128, 256, 256, 256, 512, 1024)
"""Sizes of cache values; 328 bytes on average."""

Input = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Mix:
    """The shares of the verbs in percent, and the numbers of keys and distinct inputs."""

    read: int
    write: int
    admin: int
    keys: int = 100_000
    inputs: int = 1_365
    """Distinct inputs per verb: the three verbs have 4,095 together."""
    unique: bool = False
    """Every operation has a key of its own, made when it is issued."""
    documents: bool = False
    """Inputs have eight fields, about documents of several tenants."""

    def verb(self, share: float) -> Verb:
        """Return the verb at a share in [0, 1) of all operations."""
        percent = share * 100
        return "read" if percent < self.read else "write" if percent < self.read + self.write else "admin"

    def key(self, rank: int) -> str:
        """Return the key of a rank; all keys of one mix have about the same width."""
        if self.documents:
            tenant, project, document = _place(rank)
            return f"{tenant}/{project}/{document}"
        return f"session:{rank:015d}"

    def input(self, verb: Verb, slot: int) -> dict[str, Any]:
        """Return the input of a slot: user, action, resource, tenant and project; with documents, three fields more."""
        fields = {
            "user": f"user-{_scatter(slot, 1) % USERS:03d}",
            "action": _pick(ACTIONS[verb], slot, 2),
            "resource": _pick(RESOURCES, slot, 3),
            "tenant": TENANTS[slot % 3],
            "project": PROJECTS[slot // 3 % 3],
        }
        if not self.documents:
            return fields
        return fields | {
            "document": _place(slot)[2],
            "classification": _pick(CLASSIFICATIONS, slot, 4),
            "mfa": _scatter(slot, 5) % 4 > 0,
        }

    def size_bytes(self, rank: int) -> int:
        """Return the size of the value that belongs to a key."""
        return VALUE_SIZES_BYTES[_scatter(rank, 6) % len(VALUE_SIZES_BYTES)]


MIXES: Mapping[str, Mix] = {
    "standard": Mix(60, 30, 10),
    "read-heavy": Mix(90, 8, 2),
    "write-heavy": Mix(30, 60, 10),
    "cache-miss": Mix(60, 30, 10, unique=True),
    "complex": Mix(60, 30, 10, keys=9 * DOCUMENTS, inputs=9 * DOCUMENTS, documents=True),
}


def _place(rank: int) -> tuple[str, str, str]:
    return TENANTS[rank % 3], PROJECTS[rank // 3 % 3], f"doc-{rank // 9 % DOCUMENTS:04d}"


def _pick(choices: tuple[str, ...], number: int, salt: int) -> str:
    return choices[_scatter(number, salt) % len(choices)]


def _scatter(number: int, salt: int) -> int:
    """Spread numbers out with the finalizer of splitmix64, in integers and so the same everywhere.

    Source: G. L. Steele Jr., D. Lea and C. H. Flood, "Fast Splittable Pseudorandom Number Generators" (2014).
    """
    mixed = (number + salt * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return mixed ^ mixed >> 31
