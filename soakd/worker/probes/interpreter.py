"""The interpreter's own counts: blocks, collections, tasks."""

import gc
import sys

from soakd.worker.probes.timing import Absent


def python_blocks() -> dict[str, float]:
    """Return the memory blocks that the interpreter has handed out; source: sys.getallocatedblocks.

    Raises:
        Absent: pymalloc is off (PYTHONMALLOC=malloc), and blocks are not counted.
    """
    blocks = sys.getallocatedblocks()
    if not blocks:
        raise Absent("pymalloc is off (PYTHONMALLOC): blocks are not counted")
    return {"python_blocks": blocks}


def collector() -> dict[str, float]:
    """Return objects waiting for each generation's next collection, collections so far, and uncollectable objects.

    Source: gc.get_count, gc.get_stats.
    """
    values: dict[str, float] = {f"gc_count_{i}": count for i, count in enumerate(gc.get_count())}
    uncollectable = 0
    for i, generation in enumerate(gc.get_stats()):
        values[f"gc_collections_{i}_total"] = generation["collections"]
        values[f"gc_collected_{i}_total"] = generation["collected"]
        uncollectable += generation["uncollectable"]
    values["gc_uncollectable_total"] = uncollectable
    return values


def tasks() -> dict[str, float]:
    """Return the number of unfinished tasks of the event loop running in this thread; nothing without one.

    It does not import asyncio if the engine has not.
    """
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return {}
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return {}
    return {"tasks": len(asyncio.all_tasks(loop))}
