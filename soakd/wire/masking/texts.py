"""Secrets in running text: values of secret names, and credentials before the @ of an address.

One pass from left to right. It looks for a hint (part of a name, or "://"); the name around it has at most 64
characters, and the text read after it is either masked and never read again, or bounded. No pattern backtracks.
"""

import re

from soakd.wire.masking.names import LINE, LONGEST_NAME, QUERY, SEVERAL, VALUE, kind_of
from soakd.wire.masking.urls import Addresses
from soakd.wire.masking.values import HIDDEN, Found, is_harmless, unquoted, without_items

__all__ = ["HIDDEN", "hide_named", "is_harmless"]

_HINTS = (
    "pass",
    "pwd",
    "secret",
    "token",
    "auth",
    "cookie",
    "credential",
    "key",
    "sess",
    "sig",
    "jwt",
    "identified",
    "://",
)
_HINT = re.compile(r"pass|pwd|secret|token|auth|cookie|credential|key|sess|sig|jwt|identified|://", re.IGNORECASE)
_REST_OF_NAME = re.compile(r"[\w.-]{0,64}+")
_SEPARATOR = re.compile(r"(?:\\*+[\"'`])?+\]?+[ \t]{0,8}+(=>|:=|==?+|:(?!//)|%3[dD])[ \t]{0,8}+")
_ANNOTATION = re.compile(r"(?:Optional\[)?(?:str|bytes|SecretStr|Any)\]?(?: \| None)?[ \t]{0,8}+=[ \t]{0,8}+")
_ELEMENT = re.compile(r"[ \t]{0,8}+>")
_FLAG = re.compile(r"[\"']?+,?+[ \t]{1,8}+(?!-)")
_SPELLED = re.compile(r"[ \t]{1,8}+(?='[^'\s]{1,256}+')")
"""PASSWORD 'x', as in SQL."""
_IDENTIFIED = re.compile(
    r"(?:[ \t]{1,8}+with[ \t]{1,8}+[\w'\"`]{1,64}+)?+[ \t]{1,8}+(?:by|as)[ \t]{1,8}+(?:password[ \t]{1,8}+)?+",
    re.IGNORECASE,
)
_OF_USERS = ("user", "role", "grant")
"""Statements in which "identified by" is SQL, in upper or lower case."""
_NAMED = re.compile(r"(?:name|key)\\{0,4}+[\"']?[ \t]{0,8}+[:=][ \t]{0,8}+\\{0,4}+[\"']?$", re.IGNORECASE)
_PAIRED = re.compile(
    r"(?:\\*+[\"'])?+,?+\s{0,64}+(?:\\*+[\"'])?+value(?:\\*+[\"'])?+[ \t]{0,8}+[:=][ \t]{0,8}+", re.IGNORECASE
)
"""From the name to the value of {"name": "DB_PASSWORD", "value": "x"}, in JSON, YAML or markup."""
_CALL = re.compile(
    r"(?:await[ \t]{1,8}+)?+[A-Za-z_][A-Za-z_.]{0,60}+"
    r"(?:\((?:[A-Za-z_., *\[\]]{1,120}+|\([A-Za-z_., *\[\]]{0,120}+\)){0,8}+\)"
    r"|\[(?:-?\d{1,3}+|[A-Za-z_]{1,40}+)\])(?=[ \t]{0,8}+(?:[#:,;)\]}\r\n]|$))"
)
"""An expression in a line of source, of names alone: next(tokens), tokens[0]."""
_DIRECTIVES = ("requirepass", "masterauth")
"""Names followed by a space and the value, in Redis's configuration and commands."""
_DIRECTIVE = re.compile(r"[ \t]{1,8}+(?=[^\s=:])")
_OPENING = re.compile(r"[bBuUrRfF]{0,2}+(\\*+(?:\"\"\"|'''|[\"'`]))")
_QUOTED = {
    '"': re.compile(r"(?:[^\"\\]++|\\.)*+", re.DOTALL),
    "'": re.compile(r"(?:[^'\\]++|\\.)*+", re.DOTALL),
    "`": re.compile(r"[^`]*+"),
}
_SCHEME_OF_HEADER = re.compile(r"(?:bearer|basic|token|apikey|negotiate|key)[ \t]{1,8}+", re.IGNORECASE)
_WORD_OF_HEADER = re.compile(r"[^\s\"'`,;]*+")
_BEHIND_A_SCHEME = re.compile(r"[ \t]{1,8}+[^\s\"'`,;0-9]{0,200}+[0-9][^\s\"'`,;]*+")
"""The text after a possible scheme name: it has a digit, as tokens have."""
_LINE = re.compile(r"[^\r\n\"'`]*+")
_WHOLE_LINE = re.compile(r"[^\r\n]*+")
_PARAMETERS = re.compile(r"(?:digest|hawk|oauth|aws4|signature)[\w-]{0,40}+[ \t]", re.IGNORECASE)
"""Schemes of a header whose parameters may be in quotes."""
_SENTENCE = re.compile(
    r"(?:(?:exited with|ended|killed|stopped by|still ran|not heard of|a deep look|a thread|threads that|an? operation"
    r"|no rate|no snapshot|new leak|close\(\)|reachable|live|native|anonymous|resident|soakd's|its|the) "
    r"|[A-Za-z]{1,60}+(?:(?<=Error)|(?<=Warning)|(?<=Exception)):|[a-z_]{1,40}+ = \d"
    r"|(?:growth|errors|latency|evidence|stability|rate|decisions|cascade|observer)\.[a-z_]{1,40}+(?:[ .:]|$)"
    r"|\d[\d.,]{0,20}+ (?:[kMGT]?i?B\b|lines?|operations|samples|errors|times)"
    r"|(?:PASS|FAIL|INCONCLUSIVE|INVALID|INCOMPLETE)(?![\w-]))"
)
"""soakd's own text after the name of an engine called "token"."""
_OF_ENGINE = ('engine "', "engine '")
_COOKIE = re.compile(r"[\w-]{1,64}+=")


def hide_named(text: str) -> str:
    """Mask values of secret names, and credentials in addresses."""
    lower = text.lower()
    if not any(hint in lower for hint in _HINTS):
        return text
    shown: list[str] = []
    at = begin = 0
    addresses = Addresses(text)
    while (hint := _HINT.search(text, at)) is not None:
        if hint[0] == "://":
            found = addresses.look(hint.start(), hint.end())
        else:
            found = _in_sql(text, hint) if hint[0].lower() == "identified" else _under_name(text, hint, at)
        if isinstance(found, int):
            at = found
            continue
        begin_secret, end, hidden = found
        shown += (text[begin:begin_secret], hidden)
        at = begin = end
    return "".join([*shown, text[begin:]])


def _in_sql(text: str, hint: re.Match[str]) -> Found:
    """Look after "identified": IDENTIFIED BY 'x', or the same in lower case in a statement about users."""
    found = _IDENTIFIED.match(text, hint.end())
    if found is None or (quote := _OPENING.match(text, found.end())) is None:
        return hint.end()
    before = text[max(0, hint.start() - 200) : hint.start()].lower()
    is_sql = hint[0].isupper() or any(word in before for word in _OF_USERS)
    return _quoted(text, quote, VALUE) if is_sql else hint.end()


def _under_name(text: str, hint: re.Match[str], at: int) -> Found:
    """Look at the name around a hint; return where to continue, or its secret: begin, end, and the replacement."""
    first = hint.start()
    least = max(at, first - LONGEST_NAME)
    while first > least and (text[first - 1].isalnum() or text[first - 1] in "_.-"):
        first -= 1
    rest = _REST_OF_NAME.match(text, hint.end())
    last = hint.end() if rest is None else rest.end()
    name = text[first:last]
    if (kind := kind_of(name.rstrip(".-"))) is None or (kind == QUERY and text[first - 1 : first] not in ("?", "&")):
        return last
    begin = _begin_of_value(text, first, last, name)
    before = text[max(0, first - 11) : first].lower()
    if begin is None or before.rstrip().endswith("unexpected") or before.endswith(_OF_ENGINE):
        return last
    spoken = text[begin - 1] in " \t"
    return last if spoken and _SENTENCE.match(text, begin) else _value(text, begin, kind, name, spoken=spoken)


def _begin_of_value(text: str, first: int, last: int, name: str) -> int | None:
    """Return where the value of a name begins; None if no value follows."""
    before = text[first - 1 : first]
    if (found := _SEPARATOR.match(text, last)) is not None:
        if found[1] == ":" and before in ("/", "\\") and text[found.end() - 1] == " ":
            return None  # a path, and a remark about it
        typed = _ANNOTATION.match(text, found.end()) if found[1] == ":" else None
        return (typed or found).end()
    if before == "<" and (found := _ELEMENT.match(text, last)) is not None:
        return found.end()
    if name.startswith("--") and (found := _FLAG.match(text, last)) is not None:
        return found.end()
    if name.lower() in _DIRECTIVES and (found := _DIRECTIVE.match(text, last)) is not None:
        return found.end()
    if (found := _PAIRED.match(text, last)) is not None and _NAMED.search(text[max(0, first - 24) : first]):
        return found.end()
    if name.lower() == "password" and (found := _SPELLED.match(text, last)) is not None:
        return found.end()
    return None


def _value(text: str, begin: int, kind: str, name: str, *, spoken: bool) -> Found:
    """Read the value that begins here; return where to continue, or its begin, end, and the replacement."""
    if kind == LINE:
        return _header(text, begin)
    if (quote := _OPENING.match(text, begin)) is not None:
        return _quoted(text, quote, kind)
    if text[begin : begin + 1] == "[":
        return without_items(text, begin, kind)
    if text[begin : begin + 1] == "{" and text[begin : begin + 2] != "{{":
        return begin + 1  # a table: its own names show what is secret
    if text[begin - 1] in " \t" and (call := _CALL.match(text, begin)) is not None:
        return call.end()
    end = unquoted(text, begin)
    value = text[begin:end]
    if end == begin or kind == SEVERAL or is_harmless(value, kind, name=name, spoken=spoken):
        return max(end, begin)
    return begin, end, HIDDEN


def _quoted(text: str, opening: re.Match[str], kind: str) -> Found:
    """Read up to the closing quote, or to the end of the text without one."""
    quote, begin = opening[1], opening.end()
    if (pattern := _QUOTED.get(quote)) is not None:
        matched = pattern.match(text, begin)
        end = len(text) if matched is None else matched.end()
    else:
        end = found if (found := text.find(quote, begin)) >= 0 else len(text)
    inner = text[begin:end]
    if kind == SEVERAL and inner.isdigit():
        return end
    return end if is_harmless(inner, kind) else (begin, end, HIDDEN)


def _header(text: str, begin: int) -> Found:
    """Mask the value of an Authorization or Cookie header, except for the name of the scheme."""
    if text[begin : begin + 1] == "[":
        return without_items(text, begin, VALUE)
    if text[begin : begin + 1] == "{":
        return begin + 1
    quote = _OPENING.match(text, begin)
    begin = begin if quote is None else quote.end()
    scheme = _SCHEME_OF_HEADER.match(text, begin)
    if scheme is not None:
        begin = scheme.end()
    if quote is not None and scheme is None:
        return _quoted(text, quote, VALUE)
    matched = _extent_of_header(text, begin, named=scheme is not None).match(text, begin)
    end = begin if matched is None else matched.end()
    while quote is None and end > begin + 1 and text[end - 1] in "}])":
        end -= 1
    value = text[begin:end]
    if not value.strip() or is_harmless(value, VALUE, spoken=True):
        return end
    further = _BEHIND_A_SCHEME.match(text, end)
    return begin, end if further is None else further.end(), HIDDEN


def _extent_of_header(text: str, begin: int, *, named: bool) -> re.Pattern[str]:
    """Return what matches a header: the word after a scheme's name, a line up to a quote, or a whole line."""
    if named:
        return _WORD_OF_HEADER
    if _PARAMETERS.match(text, begin):
        return _WHOLE_LINE
    return _LINE if _COOKIE.match(text, begin) else _WORD_OF_HEADER
