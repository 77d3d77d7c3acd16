"""What the interpreter counts of its own: blocks, collections, tasks."""

import gc
import sys

from soakd.worker.probes.timing import Absent


def python_blocks() -> dict[str, float]:
    """Memory blocks that the interpreter has handed out; source: sys.getallocatedblocks.

    Raises:
        Absent: pymalloc is switched off (PYTHONMALLOC=malloc), and nobody counts.
    """
    blocks = sys.getallocatedblocks()
    if not blocks:
        raise Absent("pymalloc is off (PYTHONMALLOC): blocks are not counted")
    return {"python_blocks": blocks}


def collector() -> dict[str, float]:
    """Objects waiting for each generation's next collection, collections so far, objects found uncollectable.

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
    """Unfinished tasks of the event loop that is running in this thread; nothing where none is.

    asyncio is not imported where the engine has not done so.
    """
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return {}
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return {}
    return {"tasks": len(asyncio.all_tasks(loop))}
