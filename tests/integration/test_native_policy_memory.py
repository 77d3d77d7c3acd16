"""Policies that want all the memory there is: each is an ordinary exception, in a process that has little to give."""

import subprocess
import sys

import pytest

pytest.importorskip("soakd._native")

ROOM_BYTES = 3 << 30
LIMIT_BYTES = 64 << 20

HOSTILE = {
    "a range": "x := count(numbers.range(1, 1000000000))",
    "a range beyond any memory": "x := count(numbers.range(1, 1000000000000))",
    "a range in steps": "x := count(numbers.range_step(1, 1000000000, 2))",
    "ranges, each of which is allowed": "x := [r | some i in numbers.range(1, 1000); r := numbers.range(i, 100000)]",
    "a padded number": 'x := sprintf("%4000000000d", [1])',
    "a joined array": 's := sprintf("%01000000d", [1])\nx := concat("", [s | some _ in numbers.range(1, 100000)])',
    "strings in a comprehension": 'x := [s | some i in numbers.range(1, 100000); s := sprintf("%0100000d", [i])]',
    "an array that doubles": "a0 := numbers.range(1, 1000)\n"
    + "".join(f"a{n + 1} := array.concat(a{n}, a{n})\n" for n in range(30))
    + "x := count(a30)",
    "a string that doubles": 'a0 := "0123456789"\n'
    + "".join(f'a{n + 1} := concat("", [a{n}, a{n}])\n' for n in range(40))
    + "x := count(a40)",
    "a document that doubles, as text": "a0 := [1]\n"
    + "".join(f"a{n + 1} := [a{n}, a{n}]\n" for n in range(40))
    + "x := json.marshal(a40)",
    "a document that doubles, as the result": "a0 := [1]\n"
    + "".join(f"a{n + 1} := [a{n}, a{n}]\n" for n in range(40))
    + "x := a40",
    "addresses of a network": 'x := count(net.cidr_expand("10.0.0.0/8"))',
    "characters of a string": 'x := count(split(sprintf("%030000000d", [1]), ""))',
}

CHILD = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({ROOM_BYTES}, {ROOM_BYTES}))
from soakd import _native
policy = _native.Policy({{"hostile.rego": sys.stdin.read()}}, "data.p.x", timeout_s=20.0, memory_bytes={LIMIT_BYTES})
for _ in range(2):
    try:
        print("decided", str(policy.decide({{}}))[:100])
    except (_native.PolicyError, ValueError) as error:
        print(type(error).__name__, error)
# Not ru_maxrss, which a child has from the process that it was forked from.
status = open("/proc/self/status", encoding="ascii").read()
most = 1024 * int(status.split("VmHWM:")[1].split()[0])
assert most < 12 * {LIMIT_BYTES}, most
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_policy_that_wants_all_memory_gets_an_exception_each_time(name: str) -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=f"package p\n{HOSTILE[name]}\n",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (child.returncode, child.stderr) == (0, "")
    lines = child.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(("PolicyError", "ValueError")) for line in lines), lines
    assert all("more than" in line for line in lines), lines


def test_a_policy_within_its_memory_decides_as_ever() -> None:
    native = pytest.importorskip("soakd._native")
    source = 'package p\nx := count(concat(",", [s | some n in numbers.range(1, 10000); s := sprintf("%d", [n])]))\n'
    policy = native.Policy({"p.rego": source}, "data.p.x", memory_bytes=LIMIT_BYTES)
    assert [policy.decide({}) for _ in range(3)] == [48893] * 3
