"""What a report is written from: the files of one run, and its curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from soakd.report.curves.values import Curves
from soakd.verdict.types import EngineVerdict, RunFacts, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything that the page of a run shows."""

    verdict: Verdict
    curves: Curves
    config: str | None = None
    """The configuration as it was read; None where the run's copy is gone."""
    overrides: Sequence[str] = ()
    """What the command line changed of it."""
    seed: int | None = None
    version: str = ""
    """Of the soakd that writes."""
    flames: Mapping[str, str] = field(default_factory=dict)
    """By engine: its call sites as markup of soakd's own, to be shown as it is."""

    @property
    def run(self) -> RunFacts:
        """What was run."""
        return self.verdict.run or RunFacts()

    @property
    def engines(self) -> Sequence[EngineVerdict]:
        """The engines of the verdict in the file's order, controls left out."""
        return [engine for engine in self.verdict.engines if engine.role != "control"]

    @property
    def controls(self) -> Sequence[EngineVerdict]:
        """The controls."""
        return [engine for engine in self.verdict.engines if engine.role == "control"]
