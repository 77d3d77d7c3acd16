"""The jobs of a look's forked children: read, compare, name. None of this runs in the judged process itself."""

import gc
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from soakd.wire.sites import HOLDERS, Site, encode
from soakd.worker.attribution import allocations, handles, holders, naming, typecounts
from soakd.worker.attribution.allocations import LEAST_BYTES_PER_OPERATION, Sum
from soakd.worker.attribution.frames import MOST_FRAMES, Frame, fingerprint, is_application
from soakd.worker.attribution.gains import Gain
from soakd.worker.attribution.hooks import Hooks

MOST_SITES = 10

Reading = dict[str, Any]


def read(
    hooks: Hooks | None, texts: Sequence[str] = (), operations: int = 0, *, searches: bool = True
) -> Reading:  # fmt: skip
    """Take one reading: lengths of containers, and bytes by site if allocations are traced (with `hooks`).

    Given the `texts` of the reading `operations` earlier, it also estimates how many operations it takes to replace all
    entries of full containers. Unless it `searches`, it reads traces only and walks none of the engine's objects.
    """
    _settle(hooks)
    counts = typecounts.by_type(texts) if searches else {}
    before = json.loads(texts[0])["census"] if texts and searches else ""
    turnover = holders.turnover(holders.unpacked(before), operations) if before else 0
    sums = allocations.survivors()[0] if hooks is not None else {}
    made = handles.tasks_made_at(asks=searches) if hooks is not None else {}
    census = holders.census() if searches else ""
    return {
        "census": census,
        "sums": sums,
        "made": {key: names.total() for key, names in made.items()},
        "turnover": turnover,
        "types": counts,
    }


def load(paths: list[Path], into: list[str]) -> None:
    """Import what decodes earlier readings; in the child, before it is confined."""
    into.extend(path.read_text(encoding="utf-8") for path in paths)


def _settle(hooks: Hooks | None) -> None:
    """Collect while tracing still sees what is freed, then suspend tracing."""
    gc.collect()
    if hooks is not None:
        hooks.lift()


def conclude(
    texts: list[str], operations: tuple[int, int], traced_operations: int, hooks: Hooks | None,
    *, things: bool, searches: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """Name the sites and types that grew in both windows.

    Args:
        texts: the readings before and between the windows, as JSON.
        operations: the numbers between the three children.
        traced_operations: how many of the first were traced.
        hooks: the allocators to restore, if allocations are traced.
        things: tasks or threads grow: the lines that make them come first.
        searches: whether the readings contain containers.

    Returns:
        `sites`, the heaviest first, as `wire.sites` encodes them; `types`: {type, per_operation, bytes_per_operation}.
    """
    _settle(hooks)
    counts = typecounts.by_type(texts) if searches else {}
    earlier: list[Reading] = [json.loads(text) for text in texts]
    made = handles.tasks_made_at(asks=searches) if things else {}
    sites = _allocating(earlier[1], (traced_operations, operations[1]), made) if hooks is not None else {}
    first, second = (holders.unpacked(reading["census"]) for reading in earlier)
    types = typecounts.growing(earlier[0]["types"], earlier[1]["types"], counts, operations)
    earlier.clear()
    found = holders.growing(first, second, operations) if searches else []
    for number, holder in enumerate(found):
        words, file, function = naming.name_of(holder.container, [found, *found])
        if _is_ours(file):
            continue
        allocated_at = [allocations.site_of(allocations.trace_of(part)) for part in holder.newest]
        linked = {key for key in allocated_at if key in sites}
        for key in linked:
            sites[key] = _held_by(sites[key], words)
        if not linked and holder.per_operation * holder.bytes_per_entry >= LEAST_BYTES_PER_OPERATION:
            sites[f"holder {number}"] = _holding(holder, words, Frame(file, 0, function))
    ranked = sorted(sites.values(), key=lambda s: (-(s.things_per_operation or 0.0), -(s.bytes_per_operation or 0.0)))
    return {"sites": [encode(site) for site in ranked[:MOST_SITES]], "types": types}


def _held_by(site: Site, words: str) -> Site:
    """Return a site with a container that grows with it."""
    return replace(site, held_by=tuple(dict.fromkeys((*site.held_by, words))), confidence="high")


def _allocating(
    before: Reading, operations: tuple[int, int], made: Mapping[str, Counter[str]]
) -> dict[str, Site]:  # fmt: skip
    """Return the sites whose surviving memory or tasks grow. Tracing began, at zero, with the first window."""
    sums, traces = allocations.survivors()
    counts = {key: names.total() for key, names in made.items() if key in sums}
    gains = {key: Gain.since(before["made"].get(key, 0), count, operations) for key, count in counts.items()}
    tasks = {key: gain.per_operation for key, gain in gains.items() if gain.lasts_in_number}
    kept = allocations.growing({key: Sum(*values) for key, values in before["sums"].items()}, sums, operations)
    heaviest = [*tasks, *sorted(kept.keys() - tasks.keys(), key=lambda key: -kept[key])][:MOST_SITES]
    stacks = allocations.with_functions({key: traces[key] for key in heaviest})
    mean = {
        key: sums[key].size_bytes / sum(operations) for key in tasks
    }  # their number grows even if their bytes do not
    sites = {key: _site("tracemalloc", stacks[key], (mean | kept)[key]) for key in heaviest}
    return sites | {key: handles.with_things(sites[key], made[key], rate) for key, rate in tasks.items()}


def _site(tool: str, stack: list[Frame], bytes_per_operation: float) -> Site:
    own = [frame for frame in stack if is_application(frame.file)]
    return Site(
        fingerprint=fingerprint("python", own), place=str(own[0]), frames=tuple(map(str, stack[:MOST_FRAMES])),
        bytes_per_operation=round(bytes_per_operation, 1), confidence="medium", tool=tool,
    )  # fmt: skip


def _holding(holder: holders.Growing, words: str, frame: Frame) -> Site:
    return Site(
        fingerprint=fingerprint(f"holder {words}", [frame]), place=words, frames=(str(frame),) if frame.file else (),
        bytes_per_operation=round(holder.per_operation * holder.bytes_per_entry, 1), held_by=(words,),
        confidence="medium", tool=HOLDERS,
    )  # fmt: skip


def _is_ours(file: str) -> bool:
    """Return whether a container belongs to soakd's harness rather than to the engine."""
    return "/soakd/" in file and not is_application(file)
