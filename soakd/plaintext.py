"""Makes text from files, journals and engines safe for terminals, logs and error messages."""

import json
import re

_UNSEEN = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Characters that JSON allows unescaped, but a terminal obeys or hides."""


def escaped(text: str) -> str:
    r"""Escape every invisible character, as \x1b, \u202e and the like, so that a terminal does not obey it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def escaped_lines(text: str) -> str:
    """Escape a text of several lines, keeping the lines."""
    return "\n".join(map(escaped, text.split("\n")))


def escaped_json(text: str) -> str:
    """Replace characters that a terminal would obey with JSON escapes, which does not change the JSON's value."""
    return _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text)
