"""The errors, from the caller's point of view.

* SoakdError
  * ConfigError       the file is wrong; nothing was started
  * PreflightError    the file is right, but this host cannot run it; nothing was started
  * EngineError       the engine refused or broke
  * BackendError      a server that an engine needs is missing or died
  * ProbeError        one reading failed; the run continues without it, and the failure is exported
  * JournalError      the record of the run cannot be written or read
    * RefusedError    a live run refused a request
    * BrokenVerdictError  a verdict file is damaged, or was changed after it was written
"""

from soakd.plaintext import escaped_lines


class SoakdError(Exception):
    """Base of all errors that soakd raises on purpose; the text is safe to show, whatever it quotes."""

    def __init__(self, *texts: object) -> None:
        super().__init__(*(escaped_lines(str(text)) for text in texts))


class ConfigError(SoakdError):
    """The configuration is wrong: each problem names file, place, rule and the value given, on one line.

    Args:
        problems: in reading order.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems: tuple[str, ...] = self.args

    def __str__(self) -> str:
        return "\n".join(self.problems)


class PreflightError(SoakdError):
    """This host cannot run the plan; the message says what to fix."""


class EngineError(SoakdError):
    """An engine could not be built or started."""


class BackendError(SoakdError):
    """A server process that an engine needs is missing or died."""


class ProbeError(SoakdError):
    """One reading failed."""


class JournalError(SoakdError):
    """The journal cannot be written or read."""


class RefusedError(JournalError):
    """A live run refused a request; the message says why."""


class BrokenVerdictError(JournalError):
    """A verdict file is damaged, or was changed after soakd wrote it, and must not be trusted."""
