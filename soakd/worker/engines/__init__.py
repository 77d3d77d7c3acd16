"""The components under soak: the `Engine` protocol and one adapter per file, imported when its engine is built."""

from soakd.worker.engines.protocol import Engine
from soakd.worker.engines.registry import build, is_async

__all__ = ["Engine", "build", "is_async"]
