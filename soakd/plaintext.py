"""Text from files, journals and engines, made fit for a terminal, a log and an error line."""

import json
import re

_UNSEEN = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Characters that JSON may hold as they are, and a terminal obeys or does not show."""


def escaped(text: str) -> str:
    r"""Write every character that cannot be seen as \x1b, \u202e and the like: a terminal obeys none of them."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def escaped_lines(text: str) -> str:
    """Do the same for a text of several lines, which stay lines."""
    return "\n".join(map(escaped, text.split("\n")))


def escaped_json(text: str) -> str:
    """Write in JSON what a terminal would obey as JSON's own escapes: what is read from it stays the same."""
    return _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text)
