"""Values of secret names: where they end, and whether they are secrets at all."""

import re

from soakd.wire.masking.names import FOLDER, SEVERAL

HIDDEN = "***"

Found = int | tuple[int, int, str]
"""Where to continue; or a secret: its begin, its end, and the replacement."""

_WORD = re.compile(
    r"(?:[^\s\"'`<>\\,;&]++|\\(?![\"'`])|[\"'`](?=\w)"
    r"|[,;&](?![\"'{(\[]|[\w.%-]{1,60}+[=:])(?=[^\s\"'`<>\\]|\\(?![\"'`])|`(?=\w)))*+"
)
"""Up to a space, a quote or a bracket, or to a comma before one of them or before the next name."""
_CLOSING = ")]},;."
_LIST = re.compile(r"\[(?:[^\]\"']++|\"(?:[^\"\\]++|\\.)*+\"?|'(?:[^'\\]++|\\.)*+'?)*+\]?")
_PLACEHOLDER = re.compile(
    r"\$\{[\w.:-]{1,64}+\}|\$[A-Z][A-Z0-9_]{1,64}+|\{\{?[^{}\n]{0,64}+\}?\}|%\(\w{1,64}+\)s|%[sdr]|%[A-Z_]{1,64}+%"
    r"|<[^<>\n]{0,80}+>|\*{3,}+|x{3,}+|\.{3}|\N{HORIZONTAL ELLIPSIS}"
)
_NOTHING = frozenset({
    "", "none", "null", "nil", "true", "false", "str", "bytes", "int", "float", "bool", "object", "any", "string",
    "number", "boolean", "undefined", "secretstr", "str | none", "optional[str]", "redacted", "hidden", "[redacted]",
    "[hidden]", "[filtered]", "-",
})  # fmt: skip
_SAID = frozenset({
    "a", "accepted", "always", "an", "and", "are", "at", "be", "been", "by", "can't", "cannot", "changed", "default",
    "denied", "did", "do", "does", "empty", "error", "exceeded", "expected", "expired", "failed", "failure", "for",
    "from", "given", "got", "had", "has", "have", "if", "in", "incorrect", "invalid", "is", "it", "least", "length",
    "limit", "may", "minimum", "missing", "must", "need", "needs", "never", "no", "none", "not", "of", "ok", "on",
    "only", "optional", "or", "permission", "please", "read", "refused", "rejected", "required", "see", "set", "should",
    "text", "that", "the", "this", "to", "too", "unexpected", "unknown", "unset", "use", "used", "was", "when", "will",
    "with", "wrong", "yes",
})  # fmt: skip
"""Words of a sentence about a password, in the place of a password."""
_CODE = re.compile(
    r"(?:os|environ|getenv|self|cls|settings|config|conf|cfg|args|options|opts|kwargs|request|req|env|ctx|context"
    r"|secrets|getpass|params|data|payload|headers|session|response|app|current_app|user|credentials|input|str|bytes"
    r"|(?:get|load|read|make|fetch|new)_\w{1,40}+)(?:\.[A-Za-z_]|\[|\()"
)
"""The beginning of an expression in source code."""


def is_harmless(value: str, kind: str, *, name: str = "", spoken: bool = False) -> bool:
    """Return whether the value of a secret name is not a secret.

    Args:
        value: without quotes.
        kind: of the name, from `names.kind_of`.
        name: the name; a variable passed on under its own name is not a secret.
        spoken: it follows a space, like a word of a sentence.
    """
    bare = value.strip()
    lower = bare.lower()
    if lower in _NOTHING or _PLACEHOLDER.fullmatch(bare):
        return True
    if kind == FOLDER and bare.startswith(("/", "~", "./", "../")):
        return True
    owner, _, attribute = lower.rpartition(".")
    is_of_letters = owner.replace(".", "").replace("_", "").isalpha() or not owner
    if name and is_of_letters and attribute == name.lower().rpartition(".")[2].strip("-_"):
        return True
    if spoken and lower.rstrip(".,:;!?)") in _SAID:
        return True
    return bool(name) and _CODE.match(bare) is not None


def unquoted(text: str, begin: int) -> int:
    """Return where a value without quotes ends: at a space, a closing bracket, or before the next name."""
    matched = _WORD.match(text, begin)
    end = begin if matched is None else matched.end()
    while end > begin + 1 and text[end - 1] in _CLOSING:
        end -= 1
    return end


def without_items(text: str, begin: int, kind: str) -> Found:
    """Mask a list; return where to continue, or its begin, its end, and the replacement."""
    matched = _LIST.match(text, begin)
    end = begin + 1 if matched is None else matched.end()
    inner = text[begin + 1 : end].rstrip("]").strip()
    quote = next((character for character in inner if character in "\"'"), "")
    if (kind == SEVERAL and not quote) or is_harmless(inner.strip("\"'"), kind):
        return end
    return begin + 1, end - text[begin:end].endswith("]"), f"{quote}{HIDDEN}{quote}"
