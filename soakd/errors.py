"""What can go wrong, from the caller's point of view.

* SoakdError
  * ConfigError       the file is wrong; nothing was started
  * PreflightError    the file is right, but this host cannot run it; nothing was started
  * EngineError       the engine refused or broke
  * BackendError      a server that an engine needs is missing or died
  * ProbeError        one reading failed; the run goes on without it, and the failure is exported
  * JournalError      the record of the run cannot be written or read
    * RefusedError    a run that goes on was asked for something that it does not do
    * BrokenVerdictError  a verdict file is damaged, or was changed after it was written
  * InsufficientData  too little was measured to judge; never a pass
"""

from soakd.plaintext import escaped_lines


class SoakdError(Exception):
    """Base of everything soakd raises on purpose; its text is fit for a user's eyes, whatever file it quotes."""

    def __init__(self, *texts: object) -> None:
        super().__init__(*(escaped_lines(str(text)) for text in texts))


class ConfigError(SoakdError):
    """The configuration is wrong: each problem names file, place, rule and what was given, on one line.

    Args:
        problems: in the order in which they are to be read.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems: tuple[str, ...] = self.args

    def __str__(self) -> str:
        return "\n".join(self.problems)


class PreflightError(SoakdError):
    """This host cannot run the plan; the message says what to mend."""


class EngineError(SoakdError):
    """An engine could not be built or started."""


class BackendError(SoakdError):
    """A server process that an engine needs is missing or died."""


class ProbeError(SoakdError):
    """One reading failed."""


class JournalError(SoakdError):
    """The journal cannot be written or read."""


class RefusedError(JournalError):
    """A run that goes on does not do what it was asked for; the message says why."""


class BrokenVerdictError(JournalError):
    """A verdict file is damaged, or was changed after soakd wrote it: what it says counts for nothing."""


class InsufficientData(SoakdError):
    """Too little was measured to judge."""
