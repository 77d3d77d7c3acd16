"""Makes the recordings of this folder again: python tests/recordings/record.py [--seconds 180] [--into DIR] NAME...

Without names it says which there are. Each is one process, whose resident memory is read twice a second. Needs what
the process is made of: go, node, redis-server, or pip for the packages that really leaked.
"""

import argparse
import collections
import contextlib
import ctypes
import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

EVERY_S = 0.5
SETTLE_S = 1.0
"""A process is not recorded while it starts."""
PAGE = os.sysconf("SC_PAGE_SIZE")

GO = """package main
import ("math/rand"; "os"; "strconv"; "time")
var kept = map[int][]byte{}
var live [4000][]byte
func main() {
	kind := os.Args[1]; rate, _ := strconv.ParseFloat(os.Args[2], 64); start := time.Now(); leaked := 0.0; n := 0
	for {
		for i := 0; i < 200; i++ { live[rand.Intn(len(live))] = make([]byte, rand.Intn(8000)) }
		for kind == "map" && leaked < rate * time.Since(start).Seconds() {
			kept[n] = make([]byte, 2000); n++; leaked += 2088
		}
		for kind == "goroutine" && leaked < rate * time.Since(start).Seconds() {
			c := make(chan int); go func() { <-c }(); leaked += 2700
		}
		time.Sleep(20 * time.Millisecond)
	}
}
"""
NODE = """
const rate = +process.argv[2], kept = [], t0 = Date.now(), lru = new Map(); let leaked = 0;
setInterval(() => {
  const a = []; for (let i = 0; i < 400; i++) a.push({i, s: 'x'.repeat(50) + Math.random(), l: [1, 2, 3, i]});
  lru.set(Math.floor(Math.random() * 1e9), a); if (lru.size > 200) lru.delete(lru.keys().next().value);
  while (leaked < rate * (Date.now() - t0) / 1000) { kept.push(Buffer.alloc(4000, 1)); leaked += 4100; }
}, 20);
"""


# Python processes, each a turn that is taken twenty times a second


class Keep:
    """Keeps `rate` bytes a second in a list; in bursts, only in the last 2 s of each 20 s."""

    def __init__(self, rate: float, *, bursts: bool = False) -> None:
        self.rate, self.bursts, self.start = rate, bursts, time.monotonic()
        self.kept: list[bytes] = []
        self.leaked = 0

    def __call__(self) -> None:
        now = time.monotonic() - self.start
        if self.bursts and now % 20.0 < 18.0:
            return
        while self.leaked < self.rate * now:
            self.leaked += self.one()

    def one(self) -> int:
        self.kept.append(bytes(4000))
        return 4033


class Forget(Keep):
    """A C extension that takes a reference to a string and never gives it back."""

    def one(self) -> int:
        text = bytes(480 + random.randrange(64))
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(text))
        return len(text) + 33


def nothing() -> None:
    pass


def fragment() -> Callable[[], None]:
    pool: list[bytes] = []

    def turn() -> None:
        pool.extend(bytes(random.choice((600, 1200, 5000, 20000, 60000))) for _ in range(60))
        while len(pool) > 600:
            pool.pop(random.randrange(len(pool)))

    return turn


def documents() -> None:
    document = {
        str(i): [random.random() for _ in range(random.randrange(40))] for i in range(random.randrange(50, 800))
    }
    json.loads(json.dumps(document))


def cycles() -> None:
    for _ in range(60):
        cycle: list[object] = [None] * 40
        cycle[0] = cycle


def fill() -> Callable[[], None]:
    cache: collections.OrderedDict[int, bytes] = collections.OrderedDict()

    def turn() -> None:
        for _ in range(20):
            cache[random.randrange(10**9)] = bytes(900)
        while len(cache) > 12_000:
            cache.popitem(last=False)

    return turn


def bursts_of_buffers() -> None:
    burst = [bytes(200_000) for _ in range(random.randrange(1, 20))] if random.random() < 0.2 else []
    time.sleep(0.05)
    del burst


def msgpack_keys() -> Callable[[], None]:
    """Maps with a key that `strict_map_key` refuses: 15 of them, and 15 good ones, a turn (GHSA-j586-36cw-2gc2)."""
    import msgpack  # type: ignore[import-not-found, unused-ignore]  # of the version that is recorded

    good, refused = msgpack.packb({"a" * 300: 1}), msgpack.packb({"a" * 300: 1, 1: "x" * 300})

    def turn() -> None:
        for _ in range(15):
            msgpack.unpackb(good)
            with contextlib.suppress(ValueError):
                msgpack.unpackb(refused)

    return turn


def ujson_integers() -> Callable[[], None]:
    """Documents with an integer of 60 digits, 75 a turn (CVE-2026-32874)."""
    import ujson  # type: ignore[import-untyped, import-not-found, unused-ignore]

    text = json.dumps({"small": list(range(20)), "large": 10**60})

    def turn() -> None:
        for _ in range(75):
            ujson.loads(text)

    return turn


def multidict_updates() -> Callable[[], None]:
    """Headers that are made and updated, five a turn (aio-libs/multidict issue 1117)."""
    import multidict

    def turn() -> None:
        for _ in range(5):
            headers = multidict.MultiDict([("a" * 40 + str(i), "b" * 50) for i in range(5)])
            headers.update({"k" * 30: "v" * 40})
            headers.extend(x="1" * 300)

    return turn


WORK: dict[str, Callable[[], Callable[[], None]]] = {
    "fragment": fragment, "json": lambda: documents, "lazygc": lambda: cycles, "fill": fill, "idle": lambda: nothing,
    "noise": lambda: bursts_of_buffers,
    "msgpack": msgpack_keys, "ujson": ujson_integers, "multidict": multidict_updates,
}  # fmt: skip


def live(work: str, leak: str, rate: float) -> None:
    """Be the recorded process, for ever."""
    random.seed(7)
    if work == "lazygc":
        gc.set_threshold(20_000, 50, 50)
    turn = WORK[work]()
    keep = Forget(rate) if leak == "incref" else Keep(rate, bursts=leak == "bursts")
    while True:
        keep()
        turn()
        time.sleep(0.05)


# Which process is which recording

Start: TypeAlias = Callable[[Path], contextlib.AbstractContextManager[int]]
"""Starts a process, in a folder of its own, that ends with the block; its id."""


@contextlib.contextmanager
def started(*command: str, **environment: str) -> Iterator[int]:
    """A process that is ended with the block; its id."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=quiet, stdout=quiet, env={**os.environ, **environment})
    try:
        time.sleep(SETTLE_S)
        if process.poll() is not None:
            raise SystemExit(f"{command[0]} ended with {process.returncode}")
        yield process.pid
    finally:
        process.kill()
        process.wait()


def python(work: str, leak: str = "list", rate: float = 0.0, package: str = "") -> Start:
    def start(folder: Path) -> contextlib.AbstractContextManager[int]:
        if package:
            pip = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), package)
            subprocess.run(pip, check=True)
        return started(sys.executable, __file__, "--live", work, leak, str(rate), PYTHONPATH=str(folder))

    return start


def go(kind: str, rate: float = 0.0) -> Start:
    def start(folder: Path) -> contextlib.AbstractContextManager[int]:
        (folder / "main.go").write_text(GO, encoding="utf-8")
        subprocess.run(("go", "build", "-o", folder / "server", folder / "main.go"), check=True)
        return started(str(folder / "server"), kind, str(rate))

    return start


def node(rate: float = 0.0) -> Start:
    def start(folder: Path) -> contextlib.AbstractContextManager[int]:
        (folder / "main.js").write_text(NODE, encoding="utf-8")
        return started("node", str(folder / "main.js"), str(rate))

    return start


def redis(kind: str, *options: str) -> Start:
    @contextlib.contextmanager
    def start(folder: Path) -> Iterator[int]:
        at = str(folder / "s")
        server = ("redis-server", "--port", "0", "--unixsocket", at, "--save", "", "--dir", str(folder), *options)
        with started(*server) as pid, started(sys.executable, __file__, "--client", kind, at):
            yield pid

    return start


def client(kind: str, at: str) -> None:
    """Be the client of a recorded Redis, for ever."""
    from redis import Redis

    connection, start, written = Redis(unix_socket_path=at), time.monotonic(), 0
    while True:
        if kind == "lru":
            pipeline = connection.pipeline(transaction=False)
            for _ in range(60):
                pipeline.set(f"k{random.randrange(10**8)}", b"x" * random.randrange(200, 900))
            pipeline.execute()
        else:
            while written * 1150 < 133_000 * (time.monotonic() - start):
                connection.set(f"k{written}", b"x" * 1000)
                written += 1
            for _ in range(5):
                connection.set(f"tmp{random.randrange(2000)}", b"x" * random.randrange(3000))
        time.sleep(0.05)


RECORDINGS: dict[str, Start] = {
    "py-noise-ok": python("noise"),
    "py-noise-leak3x": python("noise", rate=100e3),
    "py-incref-leak2x": python("idle", "incref", 67e3),
    "py-fragment-ok": python("fragment"),
    "py-fragment-leak3x": python("fragment", rate=100e3),
    "py-json-leak2x": python("json", rate=67e3),
    "py-lazygc-ok": python("lazygc"),
    "py-fill-ok": python("fill"),
    "py-burst-leak5x": python("idle", "bursts", 167e3),
    "go-churn-ok": go("churn"),
    "go-map-leak3x": go("map", 100e3),
    "go-goroutine-leak5x": go("goroutine", 167e3),
    "node-ok": node(),
    "node-leak3x": node(100e3),
    "redis-lru-ok": redis("lru", "--maxmemory", "30mb", "--maxmemory-policy", "allkeys-lru"),
    "redis-grow-leak4x": redis("grow"),
    "msgpack-1.2.2-leak3x": python("msgpack", package="msgpack==1.2.2"),
    "msgpack-1.2.3-ok": python("msgpack", package="msgpack==1.2.3"),
    "ujson-5.11.0-leak3x": python("ujson", package="ujson==5.11.0"),
    "ujson-5.12.0-ok": python("ujson", package="ujson==5.12.0"),
    "multidict-6.3.1-leak3x": python("multidict", package="multidict==6.3.1"),
    "multidict-6.4.4-ok": python("multidict", package="multidict==6.4.4"),
}


def record(name: str, seconds: float, into: Path) -> None:
    """Write one recording."""
    out = into / f"{name}.csv"
    with tempfile.TemporaryDirectory() as folder, RECORDINGS[name](Path(folder)) as pid, out.open("w") as file:
        file.write("t_s,rss_bytes\n")
        start = time.monotonic()
        for i in range(int(seconds / EVERY_S) + 1):
            time.sleep(max(0.0, start + i * EVERY_S - time.monotonic()))
            pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
            file.write(f"{time.monotonic() - start:.2f},{pages * PAGE}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*RECORDINGS, []])
    parser.add_argument("--seconds", type=float, default=181.0)
    parser.add_argument("--into", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    if not arguments.names:
        print("\n".join(RECORDINGS))  # noqa: T201  a script says what it has
    for name in arguments.names:
        record(name, arguments.seconds, arguments.into)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--live"]:
        live(sys.argv[2], sys.argv[3], float(sys.argv[4]))
    elif sys.argv[1:2] == ["--client"]:
        client(sys.argv[2], sys.argv[3])
    else:
        main()
