"""Says what of the package a wheel lacks: code, page, charts library and its licence, units, schema, templates."""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST_TOLD = 20
BUILT = ("__pycache__", ".so")


def package_files() -> Iterator[str]:
    """Yield every file that a wheel must have, with its path in there."""
    for path in sorted((ROOT / "soakd").rglob("*")):
        if path.is_file() and not any(part in str(path) for part in BUILT):
            yield path.relative_to(ROOT).as_posix()


def missing(wheel: Path) -> list[str]:
    """Return what a wheel lacks; the compiled part and the licence by what they are."""
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
    lacks = [name for name in package_files() if name not in names]
    if not any(name.startswith("soakd/_native") and name.endswith(".so") for name in names):
        lacks.append("soakd/_native, the compiled part")
    if not any(name.endswith("/LICENSE") for name in names):
        lacks.append("LICENSE")
    return lacks


def main(wheels: list[str]) -> int:
    """Look at each wheel; 1 where one lacks something."""
    lacks = [f"{wheel} lacks {name}" for wheel in wheels for name in missing(Path(wheel))]
    for line in lacks[:MOST_TOLD]:
        print(line, file=sys.stderr)
    if len(lacks) > MOST_TOLD:
        print(f"and {len(lacks) - MOST_TOLD} more", file=sys.stderr)
    if not lacks:
        print(f"{', '.join(wheels)}: complete, {len(list(package_files()))} files and the compiled part")
    return 1 if lacks else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
