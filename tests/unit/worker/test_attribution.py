"""Sites: fingerprints, ranks, words, routes; and what is not a look."""

import asyncio
import os
import socket
import tracemalloc
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from soakd.daemon.looks import scheduler
from soakd.daemon.looks.scheduler import LookScheduler
from soakd.daemon.looks.triggers import routes
from soakd.errors import ProbeError
from soakd.judge.conclude.sites import attribution, looks, site_words
from soakd.judge.story.rundata import EngineData
from soakd.live.terminal.sites import site_lines
from soakd.procs import capture_reader
from soakd.report.markdown import sites
from soakd.verdict.check import Check
from soakd.verdict.codec import to_json
from soakd.verdict.types import LookEntry, Verdict
from soakd.wire.records import Capture, Record, TypeGrowth, Unreadable
from soakd.wire.records import Look as LookRecord
from soakd.wire.sites import Site, encode
from soakd.worker.attribution import allocations, handles, smaps, typecounts
from soakd.worker.attribution.allocations import Sum
from soakd.worker.attribution.frames import Frame, fingerprint, is_application, is_harness, module_of, real_place
from soakd.worker.attribution.resolve import by_site, growing, is_plumbing
from tests.showing import plan, record
from tests.typed import typed, typed_engine

pytestmark = pytest.mark.usefixtures("every_object_is_seen")

FOLDER = Path("captures")

APP = "/opt/venv/lib/python3.11/site-packages/shop/basket.py"
RUST = "/srv/a/cargo/registry/src/index.crates.io-1/engine-1.2.3/src/store.rs"


def test_a_fingerprint_survives_moved_lines_other_places_and_other_releases_of_a_crate() -> None:
    here = [Frame(RUST, 10, "Store<u8>::push"), Frame(APP, 42, "add")]
    there = [
        Frame("/var/cargo/registry/src/index.crates.io-9/engine-2.0.0/src/store.rs", 99, "Store<u64>::push"),
        Frame("/elsewhere/python3.13/site-packages/shop/basket.py", 7, "add"),
    ]
    assert fingerprint("native", here) == fingerprint("native", there)
    assert fingerprint("native", here) != fingerprint("native", here[1:])
    assert fingerprint("native", here) != fingerprint("python", here)


def test_recursion_of_any_depth_is_one_leak() -> None:
    once = [Frame(APP, 1, "walk"), Frame(APP, 9, "main")]
    assert fingerprint("python", once) == fingerprint("python", [once[0], *once])


def test_application_code_is_neither_the_library_nor_the_harness() -> None:
    import json

    from soakd.worker import life
    from soakd.worker.engines.planted import objects

    assert is_application(APP)
    assert is_application(objects.__file__)
    assert not is_application(json.__file__)
    assert not is_application(life.__file__)
    assert not is_application("<frozen importlib._bootstrap>")
    assert module_of(APP) == "shop/basket.py"
    assert module_of(objects.__file__) == "soakd/worker/engines/planted/objects.py"


def test_a_native_site_is_the_first_frame_that_is_no_allocator_and_no_plumbing() -> None:
    stack = [
        Frame("/rustc/1/library/alloc/src/alloc.rs", 95, "alloc"),
        Frame("src/allocator.rs", 11, "__rust_alloc"),
        Frame(RUST, 10, "push"),
        Frame("Objects/methodobject.c", 443, "cfunction_vectorcall"),
        Frame(APP, 42, "add"),
    ]
    first, second = by_site([(1000, 10, stack)]), by_site([(2000, 20, stack), (1000, 10, stack)])
    (site,) = growing(first, second, (10, 30))
    assert site.place == "engine-1.2.3/src/store.rs:10 in push, called from shop/basket.py:42 in add"
    assert site.bytes_per_operation == 100.0


@pytest.mark.parametrize(
    "root",
    [
        "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library", "/usr/src/rustc-1.96.0/library",
        "/usr/src/debug/rust-1.96.0-1.fc44.x86_64/library", "/build/rustc-1.96.0-src/library",
        "/build/rustc-nightly-src/library", "/opt/rust/lib/rustlib/src/rust/library",
    ],
)  # fmt: skip
def test_the_library_of_rust_is_no_site_wherever_its_toolchain_was_built(root: str) -> None:
    stack = [
        Frame("/rust/deps/hashbrown-0.16.1/src/raw.rs", 1, "resize"),
        Frame(f"{root.removesuffix('library')}vendor/hashbrown-0.16.1/src/raw.rs", 1, "resize"),
        Frame(f"{root}/alloc/src/raw_vec/mod.rs", 559, "finish_grow<alloc::alloc::Global>"),
        Frame(f"{root}/core/src/iter/traits/iterator.rs", 2, "for_each"),
        Frame(f"{root}/std/src/collections/hash/map.rs", 3, "insert"),
    ]
    assert [frame for frame in stack if not is_plumbing(frame)] == []


@pytest.mark.parametrize(
    "file", ["/srv/rust/library/core/src/store.rs", "/srv/rust-cache/library/src/store.rs", "library/core/src/a.rs"]
)
def test_an_engine_with_a_folder_that_is_called_library_is_a_site(file: str) -> None:
    assert not is_plumbing(Frame(file, 1, "push"))


@pytest.mark.parametrize(
    ("first", "second", "rates"),
    [
        ((0, 0), (0, 1), {}),  # the table of a full lru_cache, replaced in the second window alone
        ((36_864, 2), (150_000, 2), {}),  # two blocks that grow in place: no more of them
        ((36_864, 1), (150_000, 2), {}),  # two of anything are chance
        ((50_000, 500), (200_000, 2000), {"app.py:7": 100.0}),
        ((2000, 2), (11_000, 4), {"app.py:7": 6.0}),  # few, but in both windows
        ((90_000, 500), (120_000, 2000), {"app.py:7": 20.0}),  # a leak beside a cache that fills
        ((500_000, 5000), (2_000_000, 5100), {"app.py:7": 1000.0}),  # a leak of large blocks among small ones
        ((50_000, 500), (50_000, 500), {}),  # it has filled up
        ((200, 2), (200, 2), {}),
        ((90_000, 900), (150_000, 1500), {}),  # it is filling up
        ((0, 0), (150_000, 1500), {}),  # it began in the second window
        ((90_000, 500), (80_000, 2000), {}),  # more blocks, and fewer bytes
    ],
)
def test_a_python_site_keeps_ever_more_blocks(
    first: tuple[int, int], second: tuple[int, int], rates: dict[str, float]
) -> None:
    before = {"app.py:7": Sum(*first)} if first[1] else {}
    assert allocations.growing(before, {"app.py:7": Sum(*second)}, (500, 1500)) == rates


def test_the_largest_block_of_a_line_is_not_counted() -> None:
    tracemalloc.start(allocations.DEPTH)
    try:
        kept = [bytes(size) for size in (1000, 1000, 1000, 1_000_000)]
        sums, _ = allocations.survivors()
    finally:
        tracemalloc.stop()
    found = max(one for key, one in sums.items() if key.startswith(__file__))
    assert 3000 < found.size_bytes < 10_000
    assert found.blocks >= len(kept)


def test_a_native_site_that_fills_up_is_none() -> None:
    stack = [Frame(APP, 42, "add")]
    assert list(growing(by_site([(1000, 10, stack)]), by_site([(1500, 15, stack)]), (10, 30))) == []


def test_a_table_that_was_moved_is_no_rate_and_does_not_hide_the_line_beside_it() -> None:
    table, entry = [Frame("/srv/app/src/a.c", 47, "append")], [Frame("/srv/app/src/a.c", 54, "append")]
    first = by_site([(8000, 1, table), (1440, 10, entry)])
    second = by_site([(64000, 3, table), (4320, 30, entry)])
    (site,) = growing(first, second, (10, 30))
    assert (site.place, site.bytes_per_operation) == ("app/src/a.c:54 in append", 144.0)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"state": "done", "route": 3},
        {"state": "done", "route": "python", "sites": 3},
        {"state": "done", "route": "python", "sites": [3]},
        {"state": "done", "route": "python", "sites": [{"site": "a"}]},
        {"state": "done", "route": "python", "sites": [{"site": "a", "fingerprint": "b", "frames": [1]}]},
        {"state": "done", "route": "python", "sites": [{"site": "a", "fingerprint": "b", "bytes_per_operation": "x"}]},
    ],
)
def test_what_is_no_look_is_told_from_one(body: Mapping[str, Any]) -> None:
    assert isinstance(record("attribution", "cache-rust", 60.0, body), Unreadable)
    found = {"state": "done", "route": "python", "sites": [{"site": "a", "fingerprint": "b"}]}
    assert isinstance(record("attribution", "cache-rust", 60.0, found), LookRecord)


def verdict(kind: str, state: str, role: str = "subject") -> dict[str, Any]:
    check = {"id": "growth.reachable_bytes", "verdict": "INCOMPLETE", "so_far": state}
    return {"engines": [{"name": "cache-rust", "role": role, "class": kind, "checks": [check]}]}


def test_a_route_fits_the_class_of_what_grows_and_there_is_none_where_nothing_does() -> None:
    assert list(routes(typed(verdict("python_leak", "FAIL")), "cache-rust")) == ["python"]
    assert list(routes(typed(verdict("mixed_leak", "FAIL")), "cache-rust")) == ["native", "python"]
    assert list(routes(typed(verdict("collector_backlog", "FAIL")), "cache-rust")) == []
    assert list(routes(typed(verdict("python_leak", "PASS")), "cache-rust")) == []
    assert list(routes(typed(verdict("mixed_leak", "FAIL", "control")), "cache-rust")) == []
    assert list(routes(typed(verdict("python_leak", "FAIL")), "another")) == []


class Desk:
    """Where orders and records go, in place of a daemon."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, Mapping[str, Any]]] = []
        self.records: list[Record] = []
        self.there = True
        self.looks = LookScheduler(
            plan("48h"), send_order=self.send_order, put=self.records.append, judge=self.judge, folder=FOLDER
        )

    def send_order(self, name: str, order: Mapping[str, Any]) -> bool:
        self.orders.append((name, order))
        return self.there

    async def judge(self) -> None:
        return None


def test_growth_in_two_judgements_running_is_looked_at_lightly_once_and_never_in_the_warm_up() -> None:
    async def scenario() -> Desk:
        desk = Desk()
        now_s = asyncio.get_running_loop().time()
        for origin_s in (now_s - 3600, now_s - 3600, now_s - 3600):  # an hour into two days
            desk.looks.consider(typed(verdict("python_leak", "FAIL")), origin_s)
        assert desk.orders == []
        day = now_s - 86400
        for state in ("FAIL", "PASS", "FAIL", "FAIL", "FAIL"):
            desk.looks.consider(typed(verdict("python_leak", state)), day)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        desk.looks.close()
        return desk

    desk = asyncio.run(scenario())
    ((name, order),) = desk.orders
    assert name == "cache-rust"
    assert order["deep"]["light"] is True


def growing_by(*intervals: tuple[float, float]) -> list[tuple[str, Mapping[str, Any]]]:
    async def scenario() -> Desk:
        desk = Desk()
        day = asyncio.get_running_loop().time() - 86400
        for low, high in intervals:
            so_far = verdict("python_leak", "FAIL")
            so_far["engines"][0]["checks"][0] |= {"estimate": (low + high) / 2, "low": low, "high": high}
            desk.looks.consider(typed(so_far), day)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        desk.looks.close()
        return desk

    return asyncio.run(scenario()).orders


def test_growth_that_bends_or_slows_down_is_a_warm_up_and_not_looked_at_while_it_goes_on() -> None:
    assert growing_by((135.0, 212.0), (120.0, 180.0), (90.0, 150.0)) == []
    assert growing_by((195.0, 205.0), (165.0, 175.0), (145.0, 155.0)) == []
    assert len(growing_by((104.3, 104.9), (104.0, 104.5))) == 1
    assert len(growing_by((200.0, 210.0), (150.0, 160.0), (149.0, 151.0), (149.0, 150.0))) == 1


def test_a_judgement_that_is_not_there_in_time_is_done_without_by_the_one_before() -> None:
    async def scenario() -> Desk:
        desk = Desk()
        arrives = asyncio.Event()

        async def late() -> Verdict:
            await arrives.wait()
            return typed(verdict("mixed_leak", "FAIL"))

        desk.looks._judge = late
        now_s = asyncio.get_running_loop().time()
        engine = plan("48h").engines[0]
        origin_s = now_s - engine.load.end_s - 200  # in the drain phase, or the reload phase after it
        desk.looks.consider(typed(verdict("python_leak", "FAIL")), origin_s)
        engine = replace(engine, phases=tuple(replace(p, start_s=p.start_s - 800) for p in engine.phases))
        looking = asyncio.ensure_future(desk.looks._look_at_what_fails([engine], origin_s))
        await answered(desk, 1)
        arrives.set()
        await answered(desk, 2)
        await asyncio.wait_for(looking, 5.0)
        return desk

    orders = asyncio.run(scenario()).orders
    assert [order["deep"]["route"] for _, order in orders] == ["python", "native"]  # each route once


async def answered(desk: Desk, count: int) -> None:
    """Wait for so many orders, and answer the last."""
    async with asyncio.timeout(5.0):
        while len(desk.orders) < count:  # noqa: ASYNC110 - orders set no event
            await asyncio.sleep(0)
    deep = desk.orders[-1][1]["deep"]
    body = {"id": deep["id"], "state": "done", "route": deep["route"]}
    desk.looks.note(record("attribution", "cache-rust", 5.0, body))


def test_an_engine_that_is_not_running_is_a_failed_look() -> None:
    async def scenario() -> Desk:
        desk = Desk()
        desk.there = False
        day = asyncio.get_running_loop().time() - 86400
        for _ in range(2):
            desk.looks.consider(typed(verdict("python_leak", "FAIL")), day)
        for _ in range(5):
            await asyncio.sleep(0)
        return desk

    (failed,) = asyncio.run(scenario()).records
    assert failed.body["state"] == "failed"
    assert "not running" in failed.body["why"]


def test_the_budget_of_an_hour_holds() -> None:
    async def scenario() -> Desk:
        desk = Desk()
        desk.looks._begun_s.extend([asyncio.get_running_loop().time()] * 100)
        day = asyncio.get_running_loop().time() - 86400
        for _ in range(3):
            desk.looks.consider(typed(verdict("python_leak", "FAIL")), day)
            await asyncio.sleep(0)
        return desk

    assert asyncio.run(scenario()).orders == []


def test_an_answer_ends_the_wait() -> None:
    async def scenario() -> Desk:
        desk = Desk()
        day = asyncio.get_running_loop().time() - 86400
        for _ in range(2):
            desk.looks.consider(typed(verdict("python_leak", "FAIL")), day)
        await asyncio.sleep(0)
        number = desk.orders[0][1]["deep"]["id"]
        desk.looks.note(record("attribution", "cache-rust", 5.0, {"id": number, "state": "done", "route": "python"}))
        assert desk.looks._light is not None
        await asyncio.wait_for(desk.looks._light, 5.0)
        return desk

    assert asyncio.run(scenario()).records == []


def test_a_process_that_ends_in_a_look_ends_the_wait_and_the_next_look_goes_on() -> None:
    async def scenario() -> Desk:
        desk = Desk()
        (engine, _) = [engine for engine in plan("48h").engines if engine.config.name.startswith("cache")]
        for _ in range(2):
            look = asyncio.ensure_future(desk.looks._look(engine, {"route": "python", "seconds": 1e6}))
            await asyncio.sleep(0)
            desk.looks.note(record("incident", "another", 5.0, {"what": "restart"}))
            assert not look.done()
            desk.looks.note(record("incident", "cache-rust", 5.0, {"what": "restart"}))
            await asyncio.wait_for(look, 5.0)
        return desk

    failed = asyncio.run(scenario()).records
    assert [look.body["why"] for look in failed] == ["the engine's process ended during the look"] * 2


@pytest.fixture(autouse=True)
def host_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "ONE_ON_A_HOST", f"\0soakd deep look {os.getpid()}")


def test_two_soaks_of_a_host_never_look_at_once() -> None:
    async def scenario() -> Desk:
        desk = Desk()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(scheduler.ONE_ON_A_HOST)
            await desk.looks._look(plan("48h").engines[0], {"route": "python", "seconds": 0.1})
            assert desk.orders == []
            second = asyncio.ensure_future(desk.looks._look(plan("48h").engines[0], {"route": "python", "seconds": 60}))
            await asyncio.sleep(0)
            assert desk.orders == []
        await answered(desk, 1)
        await asyncio.wait_for(second, 5.0)
        return desk

    (failed,) = asyncio.run(scenario()).records
    assert failed.body["why"] == "another soak of this host was looking all the time"


def test_who_asks_takes_turns_with_suspicions_and_spends_the_budget_of_the_same_hour() -> None:
    async def scenario() -> tuple[Desk, Mapping[str, Any], Mapping[str, Any]]:
        desk = Desk()
        day = asyncio.get_running_loop().time() - 86400
        asked = asyncio.ensure_future(desk.looks.ask("cache-rust", day))
        await asyncio.sleep(0)
        again = await desk.looks.ask("cache-rust", day)
        for _ in range(3):
            desk.looks.consider(typed(verdict("python_leak", "FAIL")), day)
            await asyncio.sleep(0)
        assert len(desk.orders) == 1
        await answered(desk, 1)
        await asyncio.wait_for(asked, 5.0)
        for _ in range(2):
            desk.looks.consider(typed(verdict("python_leak", "FAIL")), day)
        await answered(desk, 2)
        assert desk.looks._light is not None
        await asyncio.wait_for(desk.looks._light, 5.0)
        per_hour = plan("48h").config.attribution.per_hour
        desk.looks._begun_s.extend([asyncio.get_running_loop().time()] * (per_hour - 2))
        return desk, again, await desk.looks.ask("cache-rust", day)

    desk, again, spent = asyncio.run(scenario())
    assert again["why"] == "another look is under way: one at a time on a host"
    assert spent["why"].startswith("the budget of looks for this hour is used up")
    assert [order["deep"]["light"] for _, order in desk.orders] == [True, True]


def test_who_asks_in_the_reload_phase_stands_back_behind_what_fails() -> None:
    async def scenario() -> tuple[Desk, Mapping[str, Any]]:
        desk = Desk()
        never = asyncio.Event()

        async def late() -> None:
            await never.wait()

        desk.looks._judge = late
        engine = plan("48h").engines[0]
        reload = next(phase for phase in engine.phases if phase.name == "reload")
        origin_s = asyncio.get_running_loop().time() - reload.start_s - 1.0
        looking = asyncio.ensure_future(desk.looks._look_at_what_fails([engine], origin_s))
        await asyncio.sleep(0)
        refused = await desk.looks.ask("cache-rust", origin_s)
        never.set()
        await asyncio.wait_for(looking, 5.0)
        asked = asyncio.ensure_future(desk.looks.ask("cache-rust", origin_s))
        await answered(desk, 1)
        await asyncio.wait_for(asked, 5.0)
        return desk, refused

    desk, refused = asyncio.run(scenario())
    assert refused["why"] == "another look is under way: one at a time on a host"
    ((_, order),) = desk.orders
    assert "light" not in order["deep"]


def test_an_engine_that_is_never_forked_is_never_looked_at() -> None:
    async def scenario() -> tuple[Desk, Mapping[str, Any]]:
        desk = Desk()
        engines = tuple(replace(engine, collect_every_s=None) for engine in desk.looks._plan.engines)
        desk.looks._plan = replace(desk.looks._plan, engines=engines)
        day = asyncio.get_running_loop().time() - 86400
        for _ in range(2):
            desk.looks.consider(typed(verdict("python_leak", "FAIL")), day)
            await asyncio.sleep(0)
        await desk.looks._look_in_reload(engines[0], "native", day, 1)
        return desk, await desk.looks.ask("cache-rust", day)

    desk, asked = asyncio.run(scenario())
    assert desk.orders == []
    assert [look.body["why"] for look in desk.records] == [asked["why"]]
    assert asked["why"] == "collect_every is off: its process is never forked"


def test_what_is_waited_for_a_turn_is_taken_off_the_look_s_time() -> None:
    async def scenario() -> Desk:
        desk = Desk()
        engine = plan("48h").engines[0]
        async with desk.looks._one:
            late = asyncio.ensure_future(desk.looks._look(engine, {"route": "python", "seconds": 1e-6}))
            long = asyncio.ensure_future(desk.looks._look(engine, {"route": "python", "seconds": 50.0}))
            await asyncio.sleep(0)  # both begin to wait
            await asyncio.sleep(0.01)
        await asyncio.wait_for(late, 5.0)
        await answered(desk, 1)
        await asyncio.wait_for(long, 5.0)
        return desk

    desk = asyncio.run(scenario())
    assert [look.body["why"] for look in desk.records] == ["another look took all the time that there was"]
    ((_, order),) = desk.orders
    assert order["deep"]["seconds"] < 50.0 - 0.005


def test_a_worker_that_never_answers_is_a_failed_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "ANSWER_WITHIN_S", 0.01)

    async def scenario() -> Desk:
        desk = Desk()
        await desk.looks._look(plan("48h").engines[0], {"route": "python", "seconds": 0.01})
        return desk

    (failed,) = asyncio.run(scenario()).records
    assert failed.body["why"] == "no answer within 0s"


def test_the_oldest_captures_go_and_the_newest_stay(tmp_path: Path) -> None:
    for age, name in enumerate("cba"):
        (tmp_path / name).write_bytes(bytes(40))
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    capture_reader.prune(tmp_path, 100)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "c"]
    capture_reader.prune(tmp_path / "absent")


def test_a_mapping_without_a_name_is_named_only_where_nothing_else_is() -> None:
    named = Site(fingerprint="f1", place="mapping: anonymous memory", bytes_per_operation=9.0)
    unnamed, line = replace(named, last_resort=True), replace(named, bytes_per_operation=4.0)
    assert capture_reader.merged([unnamed], [line]) == [line]
    assert capture_reader.merged([unnamed], []) == [unnamed]


@pytest.mark.parametrize("printed", ["no JSON", "3", "[]", '{"sites": 3}', '{"sites": [{"site": "a"}]}'])
def test_captures_whose_reader_prints_anything_but_sites_name_nothing(tmp_path: Path, printed: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho '{printed}'\n", encoding="utf-8")
    python.chmod(0o755)
    with pytest.raises(ProbeError, match="the captures cannot be read: "):
        asyncio.run(capture_reader.read_captures(str(python), [Capture(path="a.memray", operations=5)]))


def test_a_mapping_that_grows_is_named_and_one_that_was_mapped_once_is_not() -> None:
    readings = [Counter(log=0, pool=0), Counter(log=10**6, pool=9**6), Counter(log=10**6, pool=9**6)]
    readings.append(Counter(log=4 * 10**6, pool=9**6))
    (site,) = smaps.growing(readings, (1000, 3000))
    assert (site.place, site.bytes_per_operation) == ("mapping: log", 1000.0)


def looked_at(*bodies: Mapping[str, Any]) -> EngineData:
    made = [record("attribution", "cache-rust", 60.0 + n, body) for n, body in enumerate(bodies)]
    return EngineData(plan=plan().engines[0], looks=[look for look in made if isinstance(look, LookRecord)])


def done(*sites: tuple[str, float], **more: Any) -> dict[str, Any]:
    found = [
        {"site": f"{name} in f", "fingerprint": name, "bytes_per_operation": each, "tool": "tracemalloc",
         "held_by": ["list `seen` of f"], "confidence": "high"}
        for name, each in sites
    ]  # fmt: skip
    return {"state": "done", "route": "python", "sites": found, **more}


GROWS = Check(id="growth.reachable_bytes", verdict="FAIL", estimate=400.0, unit="bytes/operation")


def test_sites_are_ranked_with_their_share_and_the_light_look_gives_way_to_the_deep_one() -> None:
    data = looked_at(done(("a", 90.0), light=True), done(("b", 8.1), ("c", 392.0), ("d", 0.5)))
    ranked = attribution(data, [GROWS])
    assert [(site.fingerprint, site.share) for site in ranked] == [("c", 0.98), ("b", 0.0203)]
    assert site_words(data, GROWS) == ", at c in f (kept in list `seen` of f), 98% of the growth"


def test_what_a_suspicion_saw_is_no_site_of_an_engine_that_has_stopped_growing() -> None:
    data = looked_at(done(("a", 90.0), light=True))
    stopped = Check(id="growth.reachable_bytes", verdict="PASS", estimate=0.1, unit="bytes/operation")
    assert attribution(data, [stopped]) == []
    assert [site.fingerprint for site in attribution(data, [GROWS])] == ["a"]


def test_a_look_that_failed_is_said_and_names_nothing() -> None:
    data = looked_at({"state": "failed", "route": "native", "why": "No module named 'memray'"})
    assert attribution(data, [GROWS]) == []
    assert looks(data) == [LookEntry(route="native", state="failed", why="No module named 'memray'")]
    assert site_words(data, GROWS) == ""
    (line,) = site_lines(typed({"engines": [{"name": "e", "looks": [to_json(look) for look in looks(data)]}]}))
    assert line == "e: a deep look (native) failed: No module named 'memray'"


def test_what_a_look_had_to_do_without_is_shown_with_its_route() -> None:
    looks = [{"route": "python", "state": "done", "note": "containers were not searched: it crashed"}]
    assert [*site_lines(typed({"engines": [{"name": "e", "looks": looks}]}))] == [
        "e: a deep look (python): containers were not searched: it crashed"
    ]


def test_a_container_that_another_look_names_by_its_line_is_one_leak_and_a_look_with_captures_is_one_look() -> None:
    container = {"site": "list `seen` of f", "fingerprint": "held", "tool": "holders", "bytes_per_operation": 500.0}
    by_container = {"id": 1, "state": "done", "route": "native", "sites": [container]}
    by_line = done(("a", 300.0), ("b", 92.0)) | {"id": 2}
    data = looked_at(by_container, {**by_container, "types": []}, by_line)
    assert [site.fingerprint for site in attribution(data, [GROWS])] == ["a", "b"]
    assert [look.route for look in looks(data)] == ["native", "python"]
    assert [site.fingerprint for site in attribution(looked_at(by_container), [GROWS])] == ["held"]


def test_the_end_of_a_run_and_the_markdown_show_the_sites() -> None:
    engine = {
        "name": "e",
        "attribution": [encode(site) for site in attribution(looked_at(done(("a|b", 392.0))), [GROWS])],
    }
    assert list(site_lines(typed({"engines": [engine]}))) == [
        "e grows at a|b in f: 98% of the growth, 392 B/op, kept in list `seen` of f"
    ]
    assert next(line for line in sites(typed_engine(engine)) if "392" in line).startswith(
        r"| a\|b in f | 392 B/op | 98% |"
    )


def test_types_that_keep_growing_are_told_with_the_look_and_what_is_no_type_is_left_out() -> None:
    good = {"type": "bytes", "per_operation": 1.0, "bytes_per_operation": 92.0}
    body = done(("a", 90.0), types=[good, {"type": "x"}, "y", {**good, "per_operation": "1"}])
    (look,) = looks(looked_at(body))
    assert look.types == (TypeGrowth(type="bytes", per_operation=1.0, bytes_per_operation=92.0),)


def test_a_type_is_counted_where_only_a_container_knows_it() -> None:
    before = typecounts.by_type()["float"]
    kept = [number / 7 for number in range(5000)]
    count, size = typecounts.by_type()["float"]
    assert count - before[0] == pytest.approx(len(kept), abs=50)
    assert size - before[1] == pytest.approx(24 * len(kept), rel=0.02)


def test_a_kind_of_descriptor_that_keeps_growing_is_named_and_one_that_fills_a_pool_is_not() -> None:
    counts = [Counter(leak=1, pool=0), Counter(leak=5, pool=8), Counter(leak=6, pool=8), Counter(leak=18, pool=9)]
    (site,) = handles.growing(counts, (100, 300))
    assert site.place == "descriptors: leak"
    assert site.things_per_operation == 0.04


def test_files_of_many_names_are_counted_by_their_folder_and_one_name_by_itself(tmp_path: Path) -> None:
    def opened(count: int, name: str) -> list[int]:
        return [os.open(tmp_path / name.format(n), os.O_CREAT) for n in range(count)]

    open_fds: list[int] = []
    readings = []
    for count, name in ((0, ""), (10, "a{}"), (0, ""), (30, "b{}")):
        open_fds += opened(count, name)
        readings.append(handles.descriptors())
    (site,) = handles.growing(readings, (10, 30))
    assert site.place == f"descriptors: files in {tmp_path}"
    readings = []
    for count, name in ((0, ""), (10, "log"), (0, ""), (30, "log")):
        open_fds += opened(count, name)
        readings.append(handles.descriptors())
    (site,) = handles.growing(readings, (10, 30))
    assert site.place == f"descriptors: {tmp_path}/log"
    for fd in open_fds:
        os.close(fd)


def test_connections_from_many_ports_are_counted_by_the_host_of_the_peer() -> None:
    server = socket.create_server(("127.0.0.1", 0), backlog=100)
    ends: list[socket.socket] = []
    readings = []
    for count in (0, 10, 0, 30):
        for _ in range(count):
            with socket.create_connection(server.getsockname()) as client:
                ends.append(server.accept()[0])
                client.sendall(b".")
        readings.append(handles.descriptors())
    (site,) = handles.growing(readings, (10, 30))
    assert site.place in (
        "descriptors: sockets to be closed, to 127.0.0.1",
        "descriptors: sockets connected to 127.0.0.1",
    )
    for end in [server, *ends]:
        end.close()


def test_what_makes_things_is_ranked_before_what_weighs_more() -> None:
    body = done(("heavy", 900.0), ("maker", 10.0))
    body["sites"][1] |= {"things_per_operation": 0.01, "runs": ["task serve"]}
    first, _ = attribution(looked_at(body), [])
    assert (first.fingerprint, first.runs) == ("maker", ("task serve",))
    (line,) = site_lines(typed({"engines": [{"name": "e", "attribution": [encode(first)]}]}))
    assert line == "e grows at maker in f: 10 B/op, 0.01/op, runs task serve, kept in list `seen` of f"


def test_lines_of_one_function_are_one_site_and_add_up() -> None:
    (site,) = attribution(looked_at(done(("a", 300.0), ("a", 92.0))), [GROWS])
    assert (site.place, site.share) == ("a in f", 0.98)


def test_the_harness_is_known_through_the_link_by_which_a_worker_saw_it(tmp_path: Path) -> None:
    from soakd.worker import housekeeping

    (tmp_path / "soakd").symlink_to(Path(housekeeping.__file__).parents[1])
    linked = str(tmp_path / "soakd" / "worker" / "housekeeping.py")
    assert is_harness(real_place(linked))
    (tmp_path / "mine" / "soakd").mkdir(parents=True)
    own = str(tmp_path / "mine" / "soakd" / "engine.py")
    assert real_place(own) == own
    assert is_application(own)


def test_what_the_harness_allocates_is_no_site_of_the_engine() -> None:
    from soakd.worker import housekeeping

    stack = [Frame("/srv/engine/src/x.c", 131, "mem_finish"), Frame(housekeeping.__file__, 83, "_sample")]
    assert by_site([(1000, 10, stack)]) == {}
