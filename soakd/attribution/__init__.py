"""Which call site grows: deep looks into a worker. Standard library only; memray in a window only."""

from soakd.attribution.look import Child, Fork, Look

__all__ = ["Child", "Fork", "Look"]
