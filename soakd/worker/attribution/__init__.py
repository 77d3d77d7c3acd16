"""Which call site grows: deep looks into a worker. Standard library only; memray in a window only."""

from soakd.worker.attribution.look import Fork, Look, LookChild

__all__ = ["Fork", "Look", "LookChild"]
