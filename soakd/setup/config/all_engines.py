"""References between the `[[engine]]` tables of a file: names, twins, the parts of `authorize`."""

from collections.abc import Sequence
from pathlib import Path

from soakd.setup.config.engines import read_engine
from soakd.setup.engine_kinds import KINDS
from soakd.setup.settings import EngineConfig, Limits
from soakd.setup.toml import Table, did_you_mean


class EngineTables:
    """Every engine of a file.

    Args:
        top: the file; collects errors.
        limits: of the run.
        folder: of the file.
    """

    def __init__(self, top: Table, limits: Limits, folder: Path) -> None:
        self._top = top
        self._tables = top.tables("engine")
        self._is_empty = top.is_sound("engine") and not self._tables
        names = [table.peek("name") for table in self._tables]
        self._read = [read_engine(table, limits, folder) for table in self._tables]
        sound = [table.is_sound() for table in self._tables]
        self.sound = tuple(engine for engine, right in zip(self._read, sound, strict=True) if right)
        self.unsound_names = tuple(
            name for name, right in zip(names, sound, strict=True) if not right and isinstance(name, str)
        )
        """Names of engines in the file whose tables have errors."""

    def check(self) -> None:
        """Check references between engines, except those to an engine that has errors itself."""
        if self._is_empty and "engine" not in self._top.misspelt():
            self._top.problems.add((), f"{self._top.source}: engine: at least one [[engine]] is needed")
        for table, engine in zip(self._tables, self._read, strict=True):
            self._check_twin(table, engine)
            if engine.kind == "authorize":
                self._check_parts(table, engine)

    def select(self, only: Sequence[str]) -> tuple[EngineConfig, ...]:
        """Keep the engines that `--only` names, and controls; all engines without `--only`."""
        names = [*(engine.name for engine in self.sound), *self.unsound_names]
        for name in only:
            if name not in names:
                text = f'{self._top.source}: no engine "{name}"{did_you_mean(name, names)}; engines: {", ".join(names)}'
                self._top.problems.add((), text)
        kept = tuple(e for e in self.sound if not only or e.name in only or e.role == "control")
        for engine in kept:
            for option, part in _parts(engine):
                if only and part in names and part not in only:
                    text = f'options: {option}: --only leaves out engine "{part}", which it needs: add --only {part}'
                    self._top.problems.add((), f'{self._top.source}: engine "{engine.name}": {text}')
        return kept

    def check_names(self, engines: Sequence[EngineConfig]) -> None:
        """Refuse two engines with the same name, also if one is a control that soakd adds."""
        names = [*(engine.name for engine in engines), *self.unsound_names]
        last = {engine.name: table for table, engine in zip(self._tables, self._read, strict=True)}
        for name in dict.fromkeys(name for name in names if names.count(name) > 1):
            text = f'engine "{name}": name: must be unique, but {names.count(name)} engines have it'
            path = (*last[name].path, "name") if name in last else ()
            self._top.problems.add(path, f"{self._top.source}: {text}")

    def _check_twin(self, table: Table, engine: EngineConfig) -> None:
        """Check the engine that a twin names; it may be left out of a run later (`--only`)."""
        others = [*(e.name for e in self.sound if e.role != "control"), *self.unsound_names]
        others = [name for name in others if name != engine.name]
        if engine.twin_of is not None and engine.twin_of not in others:
            table.report("twin_of", "must name another engine", engine.twin_of, near=others)

    def _check_parts(self, table: Table, engine: EngineConfig) -> None:
        options = table.inner({}, f"{table.place}: options", "options")
        for option, part in _parts(engine):
            half = option.removeprefix("python_")
            able = [e.name for e in self.sound if e.kind.startswith(f"{half}.")]
            if part not in able and part not in self.unsound_names:
                rule = f"must name an engine of a kind {half}.*: {', '.join(able) or 'there is none'}"
                options.report(option, rule, part, near=able)
        for option in _needed_parts(engine) if options.is_sound() else ():
            options.report(option, "must name an engine of this run, because keys take its path or it is compared")


def _parts(engine: EngineConfig) -> list[tuple[str, str]]:
    """Return the options of an engine that name other engines."""
    options = KINDS[engine.kind].options if engine.kind in KINDS else {}
    return [(o, str(engine.options[o])) for o, info in options.items() if info.type == "engine" and o in engine.options]


def _needed_parts(engine: EngineConfig) -> list[str]:
    """Return the parts of `authorize` that are missing: of paths that keys take, or that are compared."""
    rollout, compared = engine.options.get("rollout_ratio", 1.0), engine.options.get("compare_ratio", 0.0)
    new = ["policy", *(["cache"] if rollout > 0 else [])] if rollout > 0 or compared > 0 else []
    old = ["python_policy", *(["python_cache"] if rollout < 1 else [])] if rollout < 1 or compared > 0 else []
    return [option for option in (*new, *old) if option not in engine.options]
