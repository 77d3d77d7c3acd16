"""What happened, and what grows in a heap, as they are shown: bounded."""

from typing import Any

import pytest

from soakd.live.status import RunStatus
from soakd.live.status.heap import HeapGrowth
from soakd.live.status.timeline import MOST_KINDS, MOST_OF_A_KIND, Timeline
from soakd.wire.heaps import Heap, read_heap
from tests.showing import ORIGIN_S, hello, incident, origin, phase, plan, record

ENGINE = "cache-rust"


def snapshot(types: dict[str, tuple[int, int]], containers: dict[int, int], **more: Any) -> dict[str, Any]:
    return {
        "objects": sum(count for count, _ in types.values()), "bytes": sum(size for _, size in types.values()),
        "types": [{"type": name, "count": count, "bytes": size} for name, (count, size) in types.items()],
        "containers": [{"type": "list", "length": length, "id": number} for number, length in containers.items()],
        **more,
    }  # fmt: skip


def heap_of(types: dict[str, tuple[int, int]], containers: dict[int, int]) -> Heap:
    heap = read_heap(snapshot(types, containers))
    assert heap is not None
    return heap


def test_a_storm_of_one_kind_does_not_push_out_the_others() -> None:
    timeline = Timeline()
    timeline.take(incident(ENGINE, "crash", 1.0), ORIGIN_S)
    for number in range(10_000):
        timeline.take(incident(ENGINE, "operation_error", 2.0 + number), ORIGIN_S)
    kept = timeline.as_list()
    assert timeline.total == 10_001
    assert [entry["what"] for entry in kept] == ["crash"] + ["operation_error"] * MOST_OF_A_KIND
    assert kept[-1]["number"] == 10_001
    assert kept[0]["at_s"] == 1.0


def test_kinds_that_an_engine_invents_are_bounded_too() -> None:
    timeline = Timeline()
    for number in range(10 * MOST_KINDS):
        timeline.take(incident(ENGINE, f"what-{number}"), None)
    assert len(timeline.as_list()) <= MOST_KINDS + MOST_OF_A_KIND


def test_an_incident_is_shown_with_its_facts_and_cannot_write_control_characters() -> None:
    shown = Timeline().take(
        incident(ENGINE, "server_recovered", 5.0, recovery_s=0.5, detail="a\x1b[31mb", server="redis", odd=[1]),
        ORIGIN_S,
    )
    assert shown["recovery_s"] == 0.5
    assert shown["detail"] == "a\\x1b[31mb"
    assert (shown["server"], shown["engine"], "odd" in shown) == ("redis", ENGINE, False)


def test_what_grows_is_the_difference_between_the_first_and_the_latest_snapshot() -> None:
    heap = HeapGrowth()
    heap.take(heap_of({"list": (10, 1000), "dict": (5, 500), "str": (3, 90)}, {1: 10, 2: 20}), 0, 60.0)
    assert heap.as_dict() is None, "one snapshot says nothing of growth"
    heap.take(heap_of({"list": (30, 4000), "dict": (5, 500), "str": (2, 60), "few": (9, 9)}, {1: 500, 2: 20}), 0, 120.0)
    grown = heap.as_dict()
    assert grown is not None
    assert [(entry["type"], entry["grown_bytes"], entry["grown_count"]) for entry in grown["types"]] == [
        ("list", 3000, 20)
    ]
    assert [(entry["length"], entry["grown"]) for entry in grown["containers"]] == [(500, 490)]
    assert (grown["from_s"], grown["until_s"], grown["grown_objects"]) == (60.0, 120.0, 28)


def test_a_type_that_was_not_among_the_largest_grew_by_at_least_what_it_has_more_than_the_least_of_them() -> None:
    heap = HeapGrowth()
    heap.take(heap_of({"list": (10, 1000), "str": (3, 90)}, {}), 0, 60.0)
    heap.take(heap_of({"list": (10, 1000), "bytes": (50, 5000)}, {}), 0, 120.0)
    grown = heap.as_dict()
    assert grown is not None
    assert grown["types"] == [{"type": "bytes", "count": 50, "bytes": 5000, "grown_bytes": 4910, "at_least": True}]


def test_another_life_begins_another_comparison() -> None:
    heap = HeapGrowth()
    heap.take(heap_of({"list": (10, 1000)}, {}), 0, 60.0)
    heap.take(heap_of({"list": (1, 100)}, {}), 1, 120.0)
    assert heap.as_dict() is None


@pytest.mark.parametrize(
    "body",
    [
        {"types": [{"count": 1}]},
        {"types": [{"type": "list", "count": "x"}]},
        {"types": [7]},
        {"types": None},
        {"skipped": "no"},
    ],
)
def test_a_snapshot_that_makes_no_sense_hurts_nothing_else(body: dict[str, Any]) -> None:
    status = RunStatus(plan(), "run")
    status.fold([hello(ENGINE), origin(), phase(ENGINE, "load", 1.0), record("snapshot", ENGINE, 5.0, body)])
    assert status.engines[ENGINE].heap.as_dict() is None
    assert status.engines[ENGINE].up


def test_snapshots_count_under_load_only() -> None:
    status = RunStatus(plan(), "run")
    status.fold([hello(ENGINE), origin(), phase(ENGINE, "baseline", 0.0)])
    status.fold([record("snapshot", ENGINE, 2.0, snapshot({"list": (1, 1)}, {}))])
    status.fold([phase(ENGINE, "load", 9.0), record("snapshot", ENGINE, 10.0, snapshot({"list": (2, 2)}, {}))])
    status.fold([record("snapshot", ENGINE, 20.0, snapshot({"list": (9, 90)}, {}))])
    grown = status.engines[ENGINE].heap.as_dict()
    assert grown is not None
    assert (grown["from_s"], grown["types"][0]["grown_bytes"]) == (10.0, 88)


def test_a_site_is_known_as_soon_as_a_look_has_found_it() -> None:
    status = RunStatus(plan(), "run")
    site = {"fingerprint": "f1", "site": "app.py:7 in handler\n", "frames": ["app.py:7"], "share": 0.9, "odd": 1,
            "bytes_per_operation": 40, "confidence": "high"}  # fmt: skip
    look = {"id": 1, "state": "done", "route": "python", "sites": [site]}
    status.fold([hello(ENGINE), record("attribution", ENGINE, 5.0, look)])
    (shown,) = status.engines[ENGINE].as_dict()["sites"]
    assert shown == {
        "site": "app.py:7 in handler\\n",
        "frames": ["app.py:7"],
        "share": 0.9,
        "bytes_per_operation": 40.0,
        "fingerprint": "f1",
        "confidence": "high",
        "tool": "",
        "facts": ["90% of the growth", "40 B/op"],
    }
