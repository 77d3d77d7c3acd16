"""A call site as a value: what is written is read back, what is no site is refused, one leak is one site."""

import dataclasses
import json
from typing import Any

import pytest

from soakd.wire.sites import MOST_FRAMES, MOST_NAMES, MOST_TEXT, Site, decode, decode_all, distinct, encode

ADD = Site(fingerprint="add", place="shop.py:42 in add", bytes_per_operation=98.0, tool="tracemalloc")
SEEN = Site(fingerprint="seen", place="list `seen` of Shop", bytes_per_operation=500.0, tool="holders")
WHOLE = Site(
    fingerprint="e345071be9adbf27", place="shop.py:42 in add", frames=("shop.py:42 in add", "app.py:7 in serve"),
    bytes_per_operation=98.2, share=0.98, things_per_operation=0.01, runs=("task serve",), held_by=("list `seen`",),
    confidence="high", tool="tracemalloc", last_resort=True, known="a waiver",
)  # fmt: skip


@pytest.mark.parametrize("site", [ADD, SEEN, WHOLE])
def test_a_site_that_is_written_reads_the_same(site: Site) -> None:
    assert decode(json.loads(json.dumps(encode(site)))) == site


def test_what_is_not_known_is_not_written_but_for_the_frames_and_the_waiver() -> None:
    assert encode(ADD) == {
        "fingerprint": "add", "site": "shop.py:42 in add", "frames": [], "bytes_per_operation": 98.0,
        "confidence": "low", "tool": "tracemalloc", "known": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"fingerprint": None}, {"fingerprint": 3}, {"site": None}, {"site": ["a"]}, {"frames": "a"}, {"frames": [1]},
        {"held_by": [None]}, {"bytes_per_operation": "1"}, {"bytes_per_operation": True},
        {"bytes_per_operation": float("nan")}, {"bytes_per_operation": 10**30},
    ],
)  # fmt: skip
def test_without_a_place_a_fingerprint_and_readable_sizes_it_is_no_site(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a site"):
        decode({**encode(WHOLE), **wrong})


@pytest.mark.parametrize(
    ("odd", "left"),
    [
        ({"runs": 1}, {"runs": ()}), ({"things_per_operation": [1]}, {"things_per_operation": None}),
        ({"share": float("inf")}, {"share": None}), ({"confidence": "sure"}, {"confidence": "low"}),
        ({"confidence": ["high"]}, {"confidence": "low"}), ({"tool": 1}, {"tool": ""}),
        ({"known": True}, {"known": None}),
    ],
)  # fmt: skip
def test_what_only_explains_a_site_is_left_out_where_it_is_odd(odd: dict[str, Any], left: dict[str, Any]) -> None:
    assert decode({**encode(WHOLE), **odd}) == dataclasses.replace(WHOLE, **left)


@pytest.mark.parametrize("values", [None, 3, {}, "text", [3], [None], [{}], [{"site": "a"}], [encode(ADD), []]])
def test_a_list_with_anything_else_in_it_is_refused_as_a_whole(values: object) -> None:
    with pytest.raises(ValueError, match="site"):
        decode_all(values)


def test_a_site_of_an_older_version_has_what_it_had() -> None:
    old = {"fingerprint": "a", "site": "b", "frames": None, "entries_per_operation": 1.0, "bytes_per_operation": None}
    assert decode(old) == Site(fingerprint="a", place="b")


def test_texts_and_lists_are_cut_to_size() -> None:
    long = ["x" * 10_000] * 1000
    site = decode({"fingerprint": "x" * 1000, "site": long[0], "frames": long, "runs": long, "held_by": long})
    assert (len(site.fingerprint), len(site.place)) == (64, MOST_TEXT)
    assert [len(texts) for texts in (site.frames, site.runs, site.held_by)] == [MOST_FRAMES, MOST_NAMES, MOST_NAMES]
    assert {len(text) for text in (*site.frames, *site.runs, *site.held_by)} == {MOST_TEXT}


def test_the_lines_of_one_function_are_one_site_and_add_up() -> None:
    other = dataclasses.replace(ADD, place="shop.py:44 in add", bytes_per_operation=2.0, held_by=("list `seen`",))
    assert distinct([[ADD, other]]) == (dataclasses.replace(ADD, bytes_per_operation=100.0, held_by=("list `seen`",)),)


def test_what_several_looks_have_found_counts_once_as_the_first_has_it() -> None:
    again = dataclasses.replace(ADD, bytes_per_operation=3.0)
    assert distinct([[ADD], [again, SEEN]]) == (ADD, SEEN)


def test_a_container_gives_way_to_the_line_that_fills_it_and_stays_beside_others() -> None:
    fills = dataclasses.replace(ADD, held_by=(SEEN.place,))
    assert distinct([[SEEN], [fills]]) == (fills,)
    assert distinct([[SEEN], [ADD]]) == (SEEN, ADD)
