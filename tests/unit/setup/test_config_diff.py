"""What changed in a configuration is named by the keys that a person would look for."""

import pytest

from soakd.setup.config_diff import changed_keys

BEFORE = """
[run]
duration = "24h"
[limits]
growth_rate = "1MB/h"
[[engine]]
name = "cache"
kind = "cache.native"
options = { capacity = 100 }
"""


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        ("x", "x", ()),
        ('"24h"', '"48h"', ("run.duration",)),
        ("[run]", "# a comment\n[run]", ()),
        ("capacity = 100", "capacity = 200, ttl = '1s'", ("engine.cache.options.capacity", "engine.cache.options.ttl")),
        ('name = "cache"', 'name = "store"', ("engine.cache", "engine.store")),
        ("[limits]", '[[fault]]\nkind = "kill"\ntarget = "cache"\nat = "1h"\n[limits]', ("fault.kill@cache",)),
        ("[limits]", "[limits", ("the whole file",)),
        ("capacity = 100", f"capacity = {'9' * 5000}", ("the whole file",)),
        ("capacity = 100", f"capacity = {'[' * 5000}{']' * 5000}", ("the whole file",)),
    ],
)
def test_changes_are_named_by_their_keys(old: str, new: str, keys: tuple[str, ...]) -> None:
    assert changed_keys(BEFORE, BEFORE.replace(old, new)) == keys
