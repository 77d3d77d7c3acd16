"""Deep looks into a worker, to find the call site that grows. Standard library only; memray only in a window."""

from soakd.worker.attribution.look import Fork, Look, LookChild

__all__ = ["Fork", "Look", "LookChild"]
