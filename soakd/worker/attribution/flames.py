"""`python -m soakd.worker.attribution.flames CAPTURE`: the full stacks of what survived a window of memray.

Runs in a separate process, like `resolve`. Prints {"stacks": [{"frames", "bytes"}]}, frames root first, the heaviest
stack first. The frames of the interpreter and of soakd are left out; a stack without any others counts as soakd's own.
"""

import json
import sys
from collections.abc import Sequence
from itertools import groupby

from soakd.worker.attribution.frames import Frame, is_harness
from soakd.worker.attribution.resolve import PYTHON, is_plumbing, stack_of

MOST_STACKS = 2000
HARNESS = "(soakd and the interpreter)"
NO_SYMBOLS = "(native code without symbols)"
UNKNOWN = "<unknown>"
ROOTS = ("_start", "ffi_call", "start_thread", "clone3")


def main(arguments: Sequence[str]) -> int:
    """Read a capture and print its stacks."""
    import memray

    (path,) = arguments
    reader = memray.FileReader(path)
    sums: dict[tuple[str, ...], int] = {}
    try:
        for record in reader.get_leaked_allocation_records(merge_threads=True):
            frames = readable(stack_of(record))
            sums[frames] = sums.get(frames, 0) + record.size
    finally:
        reader.close()
    heaviest = sorted(sums, key=lambda frames: (-sums[frames], frames))
    stacks = [{"frames": frames, "bytes": sums[frames]} for frames in heaviest[:MOST_STACKS]]
    if rest := sum(sums[frames] for frames in heaviest[MOST_STACKS:]):
        stacks.append({"frames": ("(smaller stacks)",), "bytes": rest})
    json.dump({"stacks": stacks}, sys.stdout)
    return 0


def readable(stack: Sequence[Frame]) -> tuple[str, ...]:
    """Format a leaf-first stack root first, without the frames that are not the application's."""
    kept = [_name(frame) for frame in reversed(stack) if not _is_nobodys(frame)]
    merged = [name for name, _ in groupby(kept)]
    return (HARNESS,) if merged in ([], [NO_SYMBOLS]) else tuple(merged)


def _name(frame: Frame) -> str:
    return NO_SYMBOLS if frame.function == UNKNOWN else str(frame)


def _is_nobodys(frame: Frame) -> bool:
    if frame.file.endswith(PYTHON):
        return is_harness(frame.file)
    if frame.file == UNKNOWN:
        return frame.function in ROOTS or is_plumbing(frame)
    return not frame.file or frame.file.startswith("<frozen") or "/clinic/" in frame.file or is_plumbing(frame)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
