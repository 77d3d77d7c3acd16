"""Virtual environments of the tests' own, and packages to put into them."""

import os
import shutil
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

OLDEST = (3, 11)


@cache
def other_cpythons() -> tuple[str, ...]:
    """Every CPython of this machine that soakd works under, of another version than the one that runs the tests."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [str(path) for path in sorted(root.glob("versions/*/bin/python3"))]
    candidates += [path for minor in range(11, 20) if (path := shutil.which(f"python3.{minor}"))]
    found = {_version_of(path): path for path in candidates}
    return tuple(path for version, path in found.items() if version >= OLDEST and version != sys.version_info[:2])


def _version_of(python: str) -> tuple[int, ...]:
    code = "import sys; print(*sys.version_info[:2], sys.implementation.name, sys.abiflags)"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    said = done.stdout.split()
    usable = done.returncode == 0 and said[2:] == ["cpython"]
    return tuple(map(int, said[:2])) if usable else ()


def new_environment(folder: Path, base: str = sys.executable) -> Path:
    """Make an environment that has nothing but the standard library; returns its interpreter."""
    subprocess.run([base, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


def site_packages_of(python: Path) -> Path:
    (found,) = python.parent.parent.glob("lib/python3.*/site-packages")
    return found


def wheel(folder: Path, name: str, version: str, source: str) -> Path:
    """Build a wheel of one module."""
    info = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", source)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def install(python: Path, *wheels: Path) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*command, "--disable-pip-version-check", *map(str, wheels)], check=True)
