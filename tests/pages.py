"""Pages that are written by hand, with blocks in them that are not."""

from pathlib import Path

ROOT = Path(__file__).parent.parent


def with_block(name: str, page: str, block: str) -> str:
    """Return the text of docs/PAGE with what stands between the marks of a block replaced."""
    begin, end = f"<!-- {name}: begin, written by `make golden` -->\n", f"<!-- {name}: end -->\n"
    before, _, rest = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(begin)
    _, found, after = rest.partition(end)
    assert found, f"docs/{page} has no block {name}"
    return f"{before}{begin}\n{block.strip()}\n\n{end}{after}"
