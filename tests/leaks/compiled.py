"""What is written in C and Rust, compiled where it is needed: with line tables, as an extension should be."""

import ctypes
import hashlib
import importlib.util
import os
import subprocess
import sysconfig
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
C_FLAGS = ("-g", "-O2", "-shared", "-fPIC", "-Wall", "-Wextra")
RUST_FLAGS = (
    "--edition",
    "2021",
    "--crate-type",
    "cdylib",
    "-O",
    "-C",
    "debuginfo=line-tables-only",
    "-C",
    "strip=none",
)


@cache
def c_library() -> ctypes.CDLL:
    """Return leaks.c."""
    return ctypes.CDLL(str(_built("leaks.c", "libleaks_c.so", ("cc", *C_FLAGS))))


@cache
def rust_library() -> ctypes.CDLL:
    """Return leaks.rs."""
    return ctypes.CDLL(str(_built("leaks.rs", "libleaks_rs.so", ("rustc", *RUST_FLAGS))))


@cache
def c_extension() -> ModuleType:
    """Return creference.c, imported."""
    include = sysconfig.get_paths()["include"]
    path = _built("creference.c", "creference.so", ("cc", *C_FLAGS, f"-I{include}"))
    spec = importlib.util.spec_from_file_location("creference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _built(source: str, target: str, command: tuple[str, ...]) -> Path:
    """Compile once for this source and interpreter; at the same time by several processes if need be."""
    text = (HERE / source).read_bytes() + sysconfig.get_paths()["include"].encode()
    folder = Path(tempfile.gettempdir(), f"soakd-leaks-{os.getuid()}-{hashlib.sha256(text).hexdigest()[:16]}")
    path = folder / target
    if not path.is_file():
        folder.mkdir(mode=0o700, exist_ok=True)
        made = folder / f"{target}.{os.getpid()}"
        subprocess.run([*command, "-o", str(made), str(HERE / source)], check=True, timeout=120)
        made.replace(path)
    return path
