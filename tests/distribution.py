"""Where each test runs under xdist. Imported by xdist's own hook only: tests run without it too."""

from xdist.scheduler import LoadScopeScheduling

from tests.conftest import ROOT, shares_a_fixture


class SharedFixturesTogether(LoadScopeScheduling):  # type: ignore[misc] # xdist publishes no types for it
    """Keep the tests that share a fixture of their module in one process; send every other one where there is room."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if shares_a_fixture(ROOT / file) else nodeid
