"""The answer of a policy whose rule does not apply: neither false nor null, in process and over HTTP alike."""

from typing import Any

UNDEFINED: Any

try:
    from soakd._native import UNDEFINED
except ImportError:  # a foreign interpreter that cannot load the extension only uses policy servers

    class UndefinedType:
        """The type of UNDEFINED."""

        def __bool__(self) -> bool:
            return False

        def __repr__(self) -> str:
            return "UNDEFINED"

    UNDEFINED = UndefinedType()

__all__ = ["UNDEFINED"]
