"""Every regular expression of the package, applied as it is applied there to long texts made to keep it busy.

A pattern that goes back over what it has read takes the square of a text's length: here that is hours.
"""

import ast
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HOUSE = Path(__file__).parent.parent.parent / "soakd"
CHARACTERS = 100_000
CPU_S = 5.0
"""For one text: what is linear takes a hundredth of it, what is quadratic several times as much."""
METHODS = ("search", "match", "fullmatch", "sub", "findall", "finditer", "split")
APPLYING = {f"re.{method}" for method in (*METHODS, "compile")}
REPEATED = (
    "a", "a-", "-1", "<", "a.", "0", " ", "_", "/", "/a", "://", "x://a:", "@", "a@", "=", "a=", '"', "\\", "'", "[",
    "{", "password", "password=", "token='", "eyJaaaaaaaaa-", "eyJaaaaaaaaa.", "bearer ", "basic ", "-u a:", "_B ",
    "A", "aA", "/library/std/src/", "/rustc-1.0", "soakd:a ", "data.", "\n", "-----BEGIN ", "sk-", "$", "%(", "é",
    "mysql ", "mysql -", "sshpass -p ", "a:", "a:b@", "a(", "name: ",
)  # fmt: skip
BEGINS = ("<", '"', "[", "{", "password=", "0x", "data", "https://")


def applied() -> Iterator[tuple[str, str, bool]]:
    """Yield every pattern with the method that it is applied by, and whether it is one of bytes."""
    for path in sorted(HOUSE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named: dict[str, str | bytes] = {}
        for node in ast.walk(tree):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and called in APPLYING:
                pattern = constant(node.args[0], path)
                if (method := called.removeprefix("re.")) != "compile":
                    yield text_of(pattern), method, isinstance(pattern, bytes)
                else:
                    named[name_of(tree, node)] = pattern
        for name, pattern in named.items():
            used = {
                node.attr
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute) and ast.unparse(node.value) == name and node.attr in METHODS
            }
            for method in used or {"search"}:
                yield text_of(pattern), method, isinstance(pattern, bytes)


def constant(node: ast.expr, path: Path) -> str | bytes:
    """Return a pattern; one that is put together at run time cannot be tried here."""
    assert isinstance(node, ast.Constant), f"{path.name}:{node.lineno}: write the pattern out: {ast.unparse(node)}"
    assert isinstance(node.value, str | bytes)
    return node.value


def text_of(pattern: str | bytes) -> str:
    return pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern


def name_of(tree: ast.Module, compiled: ast.Call) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(inner is compiled for inner in ast.walk(node.value)):
            return ast.unparse(node.targets[0])
    return ""


PROGRAM = """
import json, re, signal, sys
given = json.load(sys.stdin)
for pattern, method, is_bytes in given["patterns"]:
    compiled = re.compile(pattern.encode("latin-1") if is_bytes else pattern, re.IGNORECASE)
    for begin, repeated in given["texts"]:
        text = (begin + repeated * (given["characters"] // len(repeated)))[: given["characters"]]
        text = text.encode() if is_bytes else text
        print(json.dumps([pattern, method, begin, repeated]), flush=True)
        signal.setitimer(signal.ITIMER_PROF, given["cpu_s"])
        if method in ("sub", "findall", "finditer", "split"):
            sum(1 for _ in compiled.finditer(text))
        else:
            getattr(compiled, method)(text)
"""


def tried(*patterns: tuple[str, str, bool], cpu_s: float = CPU_S) -> subprocess.CompletedProcess[str]:
    """Apply patterns to every text in a process that ends where one takes too much of the processor."""
    texts = [("", each) for each in REPEATED] + [(begin, each) for begin in BEGINS for each in ("a", "\\", " ")]
    given = {"patterns": patterns, "texts": texts, "characters": CHARACTERS, "cpu_s": cpu_s}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(given), capture_output=True, text=True, check=False
    )


def test_no_pattern_goes_back_over_what_it_has_read() -> None:
    patterns = sorted(set(applied()))
    assert len(patterns) > 40
    done = tried(*patterns)
    assert done.returncode == 0, f"more than {CPU_S} s for {done.stdout.splitlines()[-1]} {done.stderr}"


def test_one_that_does_is_noticed() -> None:
    done = tried((r"\b[\w+.-]+://", "sub", False), cpu_s=CPU_S / 5)
    assert done.returncode == -signal.SIGPROF
