"""A call site of growing memory, as one value from the look that finds it to every output that shows it.

Workers and the readers of captures create sites; `attribution` records and the verdict file contain them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeGuard, get_args

from soakd.wire.bounds import MOST_READING

Confidence = Literal["high", "medium", "low"]
CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)
HOLDERS = "holders"
"""The tool whose sites are containers: their contents count at the lines that allocate, if those are known."""
LONGEST_FINGERPRINT = 64
MOST_TEXT, MOST_FRAMES, MOST_NAMES = 500, 40, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One place at which something grows. Unknown numbers are None, never 0."""

    fingerprint: str
    """The same for the same leak in every run, wherever its lines have moved."""
    place: str
    """"shop/basket.py:42 in add", "list `seen` of ...", "descriptors: /tmp/log"."""
    frames: tuple[str, ...] = ()
    """The stack, leaf first."""
    bytes_per_operation: float | None = None
    share: float | None = None
    """Share of the measured growth; set by the judge."""
    things_per_operation: float | None = None
    """File descriptors, tasks or threads that it creates and that do not end."""
    runs: tuple[str, ...] = ()
    """The functions that those tasks or threads run."""
    held_by: tuple[str, ...] = ()
    """The containers that grow with it."""
    confidence: Confidence = "low"
    tool: str = ""
    last_resort: bool = False
    """Used only if nothing else was found: a mapping without a name."""
    known: str | None = None
    """The waiver that covers it; set by the judge."""

    @property
    def is_container(self) -> bool:
        """Whether it is a container that grows, and not a line that allocates."""
        return self.tool == HOLDERS


def encode(site: Site) -> dict[str, Any]:
    """Return a site as JSON types, for records and the verdict file."""
    lists = {"runs": site.runs, "held_by": site.held_by}
    numbers = {name: getattr(site, name) for name in ("bytes_per_operation", "share", "things_per_operation")}
    return {
        "fingerprint": site.fingerprint, "site": site.place, "frames": list(site.frames),
        **{name: number for name, number in numbers.items() if number is not None},
        **{name: list(texts) for name, texts in lists.items() if texts},
        "confidence": site.confidence, "tool": site.tool,
        **({"last_resort": True} if site.last_resort else {}), "known": site.known,
    }  # fmt: skip


def decode(fields: object) -> Site:
    """Decode a site; texts and lists are cut to size, and invalid explanatory fields are left out.

    Raises:
        ValueError: it is not a site; the message says why.
    """
    if not isinstance(fields, dict):
        raise ValueError("a site is no table")
    if not _is_text(fields.get("fingerprint")) or not _is_text(fields.get("site")):
        raise ValueError("a site without a place or a fingerprint")
    for name in ("frames", "held_by"):
        if fields.get(name) is not None and not _are_texts(fields[name]):
            raise ValueError(f"a site's {name} are no texts")
    if fields.get("bytes_per_operation") is not None and not _is_number(fields["bytes_per_operation"]):
        raise ValueError("a site's bytes_per_operation is no number")
    confidence, tool, known = (fields.get(name) for name in ("confidence", "tool", "known"))
    return Site(
        fingerprint=fields["fingerprint"][:LONGEST_FINGERPRINT], place=fields["site"][:MOST_TEXT],
        frames=_texts(fields, "frames", MOST_FRAMES), bytes_per_operation=_number(fields, "bytes_per_operation"),
        share=_number(fields, "share"), things_per_operation=_number(fields, "things_per_operation"),
        runs=_texts(fields, "runs"), held_by=_texts(fields, "held_by"),
        confidence=confidence if confidence in CONFIDENCES else "low", tool=tool[:MOST_TEXT] if _is_text(tool) else "",
        last_resort=fields.get("last_resort") is True, known=known[:MOST_TEXT] if _is_text(known) else None,
    )  # fmt: skip


def decode_all(values: object) -> tuple[Site, ...]:
    """Decode a list of sites.

    Raises:
        ValueError: it is not a list, or one of the entries is not a site.
    """
    if not isinstance(values, list):
        raise ValueError("sites are no list")
    return tuple(map(decode, values))


def distinct(looks: Iterable[Iterable[Site]]) -> tuple[Site, ...]:
    """Return each leak once, from the first look that found it.

    A container named by one look is left out if another one named the line that fills it.
    """
    found: dict[str, Site] = {}
    for look in looks:
        for name, site in _added_up(look).items():
            found.setdefault(name, site)
    filled = {holder for site in found.values() if not site.is_container for holder in site.held_by}
    return tuple(site for site in found.values() if not site.is_container or site.place not in filled)


def _added_up(look: Iterable[Site]) -> dict[str, Site]:
    """Add up the lines of one function, which share a fingerprint, under the first of them."""
    found: dict[str, Site] = {}
    for site in look:
        first = found.get(site.fingerprint)
        found[site.fingerprint] = site if first is None else _sum(first, site)
    return found


def _sum(first: Site, other: Site) -> Site:
    sizes = [site.bytes_per_operation for site in (first, other) if site.bytes_per_operation is not None]
    things = other if first.things_per_operation is None else first
    return replace(
        first, bytes_per_operation=sum(sizes) if sizes else None, runs=first.runs or other.runs,
        things_per_operation=things.things_per_operation, held_by=first.held_by or other.held_by,
    )  # fmt: skip


def _texts(fields: Mapping[str, Any], name: str, most: int = MOST_NAMES) -> tuple[str, ...]:
    texts = fields.get(name)
    return tuple(text[:MOST_TEXT] for text in texts[:most]) if _are_texts(texts) else ()


def _number(fields: Mapping[str, Any], name: str) -> float | None:
    number = fields.get(name)
    return float(number) if _is_number(number) else None


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


def _are_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _is_number(value: object) -> TypeGuard[float]:
    return type(value) in (int, float) and -MOST_READING <= value <= MOST_READING  # type: ignore[operator]
