"""Secrets recognized by their issuer's format, anywhere in a text."""

import base64
import binascii
import re
import string

from soakd.wire.masking.texts import HIDDEN

_TOKEN = re.compile(
    r"(?<![A-Za-z0-9_-])(?:gh[pousr]_[A-Za-z0-9]{20,255}+|github_pat_\w{20,255}+|glpat-[\w-]{16,255}+"
    r"|xox[abeoprs]-[\w-]{10,255}+|(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Za-z])|AIza[\w-]{30,64}+|npm_[A-Za-z0-9]{30,64}+"
    r"|pypi-AgE[\w-]{40,255}+|hf_[A-Za-z0-9]{30,64}+|sk-(?=[A-Za-z_-]{0,255}+[0-9])[A-Za-z0-9_-]{20,255}+|hv[sbr]\.[\w-]{20,255}+|[rs]k_(?:live|test)_[A-Za-z0-9]{16,255}+"
    r"|dop_v1_[0-9a-f]{60,64}+|SG\.[\w-]{16,64}+\.[\w-]{16,64}+|eyJ[\w-]{8,4000}+\.eyJ[\w-]{4,4000}+\.[\w-]{8,4000}+)"
)
_MARKS = (
    "gh", "glpat-", "xox", "AKIA", "ASIA", "AIza", "npm_", "pypi-", "hf_", "sk-", "k_live_", "k_test_", "dop_v1_",
    "SG.", "eyJ", "hv",
)  # fmt: skip
"""Every token of a known format contains one of these; most texts contain none."""
_HOOK = re.compile(
    r"((?:hooks\.slack\.com/services|discord(?:app)?\.com/api/webhooks|api\.telegram\.org/bot|outlook\.office\.com/webhook)"
    r"/?)[^\s\"'<>]{8,512}+"
)
_HOOK_HOSTS = ("hooks.slack.com", "discord", "api.telegram.org", "outlook.office.com")
_BEARER = re.compile(r"\b(bearer)([ \t]{1,8}+)([A-Za-z0-9._~+/=-]{8,4000}+)", re.IGNORECASE)
_BASIC = re.compile(r"\b(basic)([ \t]{1,8}+)([A-Za-z0-9+/=_-]{8,4000}+)", re.IGNORECASE)
_USER = re.compile(
    r"(?<![\w-])(-u|--user|--proxy-user)([ =][\"']?)([^\s:\"']{1,64}+):(?!\d{1,10}+(?:\s|$))[^\s\"']{1,512}+"
)
_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_OF_KEYS = f"{string.ascii_letters}{string.digits}+/=\\\r\n"
"""The characters of base64 and its line ends."""
_HEADERS = ("Proc-Type:", "DEK-Info:", "Version:", "Comment:")
LONG_ENOUGH = 24
"""A "word" of this length after "bearer" is a token."""


def hide_forms(text: str) -> str:
    """Mask tokens of known formats, keys in PEM, and the text after "Bearer", "Basic" and `-u user:`."""
    if "-----BEGIN" in text or "-----END" in text:
        text = _without_keys(text)
    if any(mark in text for mark in _MARKS):
        text = _TOKEN.sub(HIDDEN, text)
    if any(host in text for host in _HOOK_HOSTS):
        text = _HOOK.sub(rf"\1{HIDDEN}", text)
    if "-u" in text or "--" in text:
        text = _USER.sub(rf"\1\2\3:{HIDDEN}", text)
    lower = text.lower()
    if "bearer" in lower:
        text = _BEARER.sub(_without_bearer, text)
    return _BASIC.sub(_without_basic, text) if "basic" in lower else text


def is_in_key(line: str, *, before: bool) -> bool:
    """Return whether a line begins a private key in PEM without ending it, or continues the one in `before`."""
    if (begin := _BEGIN.search(line)) is not None:
        return _END.search(line, begin.end()) is None
    return before and (line.startswith(_HEADERS) or not line.strip().strip(_OF_KEYS))


def _without_keys(text: str) -> str:
    """Mask private keys in PEM, also parts of one whose beginning or end was cut off."""
    shown, at = [], 0
    first, begin = _END.search(text), _BEGIN.search(text)
    if first is not None and (begin is None or first.start() < begin.start()):
        kept = text[: first.start()].rstrip(_OF_KEYS)
        if text[len(kept) : first.start()].strip():
            shown, at = [kept, HIDDEN], first.start()
    while (begin := _BEGIN.search(text, at)) is not None:
        end = _END.search(text, begin.end())
        shown.append(f"{text[at : begin.end()]}{HIDDEN}")
        at = len(text) if end is None else end.start()
    return "".join([*shown, text[at:]])


def _without_bearer(found: re.Match[str]) -> str:
    scheme, blank, word = found.groups()
    is_word = len(word) < LONG_ENOUGH and word.rstrip(".").replace("-", "").isalpha()
    return found[0] if is_word else f"{scheme}{blank}{HIDDEN}"


def _without_basic(found: re.Match[str]) -> str:
    """Mask a user and password in base64."""
    scheme, blank, word = found.groups()
    try:
        told = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_" if "-" in word or "_" in word else None)
        is_pair = ":" in told.decode() and told.decode().isprintable()
    except (binascii.Error, ValueError):
        return found[0]
    return f"{scheme}{blank}{HIDDEN}" if is_pair else found[0]
