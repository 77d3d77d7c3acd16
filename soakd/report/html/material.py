"""The input of a report: the verdict, the curves and the configuration of one run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from soakd.report.curves.values import Curves
from soakd.verdict.types import EngineVerdict, RunFacts, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The input of the page of one run."""

    verdict: Verdict
    curves: Curves
    config: str | None = None
    """Text of the configuration; None where the run's copy is gone."""
    overrides: Sequence[str] = ()
    """Settings from the command line."""
    seed: int | None = None
    version: str = ""
    """Version of soakd that writes the report."""
    flames: Mapping[str, str] = field(default_factory=dict)
    """Engine -> its flame graphs as markup, not escaped again."""

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
