"""Secrets on command lines after short options, and in addresses without a scheme."""

import re

from soakd.wire.masking.names import VALUE
from soakd.wire.masking.values import HIDDEN, is_harmless

_ATTACHED = re.compile(
    r"((?<![\w.-])(?:mysql|mariadb|sshpass)[\w-]{0,20}+[\"',]{0,2}+"
    r"(?:(?![ \t\"']-p(?:[^\s\"'`]|[\"'][^\s,\])\"']))[^\n;|&]){0,250}+[ \t\"']-p)"
    r"(?!\d{1,5}+:\d)('[^'\n]{1,256}+'|\"[^\"\n]{1,256}+\"|[^\s\"'`;|&]{1,256}+)"
)
"""`mysql -pSECRET`: with a space after -p it would prompt. Something like two ports is Docker's -p."""
_BEHIND_A_BLANK = re.compile(
    r"((?<![\w.-])(?:"
    r"(?:sshpass|mongo[a-z]{0,10}+)(?:(?![ \t\"']-p[\s\"',])[^\n;|&]){0,250}+[ \t\"']-p"
    r"|redis-cli(?:(?![ \t\"']-a[\s\"',])[^\n;|&]){0,250}+[ \t\"']-a"
    r"|ldap[a-z]{3,12}+(?:(?![ \t\"']-w[\s\"',])[^\n;|&]){0,250}+[ \t\"']-w"
    r")[\"',]{0,2}+[ \t]{1,8}+)(?!-|\d{1,5}+:\d)('[^'\n]{1,256}+'|\"[^\"\n]{1,256}+\"|[^\s\"'`;|&]{1,256}+)"
)
_PROGRAMS = ("mysql", "mariadb", "sshpass", "mongo", "redis-cli", "ldap")
_NO_SCHEME = re.compile(
    r"(?<![\w.@/:%+-])(?!(?:mailto|sips?|xmpp|acct|scm|im|tel):)([A-Za-z][\w.+-]{0,63}+:)([^\s@/\"'`<>]{1,256}+)"
    r"(?=@(?:[A-Za-z0-9.-]{1,253}+:\d{1,5}+/|tcp\(|unix\())",
    re.IGNORECASE,
)
"""user:SECRET@host:port/path, and user:SECRET@tcp(host:port)/path, used by some drivers."""


def hide_on_command_lines(text: str) -> str:
    """Mask passwords after the options of clients, and user:SECRET@host:port/path."""
    if any(program in text for program in _PROGRAMS):
        text = _BEHIND_A_BLANK.sub(_without_value, _ATTACHED.sub(_without_value, text))
    return _NO_SCHEME.sub(rf"\1{HIDDEN}", text) if "@" in text else text


def _without_value(found: re.Match[str]) -> str:
    before, value = found.groups()
    quote = value[0] if value[0] in "\"'" else ""
    return found[0] if is_harmless(value.strip(quote or " "), VALUE) else f"{before}{quote}{HIDDEN}{quote}"
