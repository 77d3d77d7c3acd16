"""Credentials in addresses: the part before the @ of the host, escaped or not."""

import re

from soakd.wire.masking.values import HIDDEN, Found

_ADDRESS = re.compile(r"[^\s\"'`<>\x00-\x1f]{0,4096}+")
_AUTHORITY = re.compile(r"[^\s\"'`<>\x00-\x1f/?#]{0,4096}+")
_USERS_ONLY = ("ssh", "git", "sftp", "rsync", "svn")
"""Schemes in which a user without a password is not a secret."""
_NO_PASSWORDS = ("", "x-oauth-basic")
"""With these passwords the user is the token."""
_OF_FILES = ("file", "sqlite", "unix")
"""Schemes that are followed by a path without a host."""
_PORT_AND_QUERY = re.compile(r"\d{1,5}+(?:/[^\s\"'`<>?@]{0,256}+)?+\?[\w.-]{1,64}+=")
"""A port, an optional path and a query after a host: an @ in it belongs to a parameter."""
_DIGEST = re.compile(r"sha(?:256|384|512):(?:[0-9a-f]{8}|\.\.\.)")
"""After the @ of an image: docker://image@sha256:..."""
_WEB = ("http", "https", "ws", "wss")


class Addresses:
    """The addresses in one text, from left to right. It remembers how far there is no @, so nothing is read twice."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._clean_until = 0

    def look(self, end_of_scheme: int, begin: int) -> Found:
        """Look at the address after a "://"; if its password is clear, only that is masked."""
        if begin < self._clean_until:
            return begin
        scheme = _scheme_before(self._text, end_of_scheme)
        length = self._length_of_credentials(begin, scheme)
        if length is None:
            return begin
        user, colon, password = self._text[begin : begin + length].partition(":")
        if not colon and scheme.rpartition("+")[2] in _USERS_ONLY:
            return begin + length
        is_user = colon and "/" not in user and "@" not in user and password not in _NO_PASSWORDS
        return begin, begin + length, f"{user}:{HIDDEN}" if is_user else HIDDEN

    def _length_of_credentials(self, begin: int, scheme: str) -> int | None:
        """Return the number of characters before the @ of the host; None if there is none, or it is in a path.

        An unescaped password may contain @ or /: the last @ is taken as that of the host.
        """
        first = _without_digest(self._read(_AUTHORITY, begin))
        user, colon, port = first.partition(":")
        if "@" in first and (not colon or "@" in user):
            return first.rindex("@")
        if first.startswith("[") or (not first and scheme.partition("+")[0] in _OF_FILES):
            return None  # an IPv6 address, or a path
        is_place = bool(user) and (not colon or (port.isdigit() and scheme in _WEB))
        if is_place:
            return None
        if user and colon and _PORT_AND_QUERY.match(self._text, begin + len(user) + 1):
            return None
        whole = _without_digest(self._read(_ADDRESS, begin))
        if "@" not in whole:
            self._clean_until = begin + len(whole)
            return None
        return whole.rindex("@")

    def _read(self, pattern: re.Pattern[str], begin: int) -> str:
        matched = pattern.match(self._text, begin)
        return "" if matched is None else matched[0]


def _without_digest(address: str) -> str:
    before, at, digest = address.rpartition("@")
    return before if at and _DIGEST.match(digest) else address


def _scheme_before(text: str, end: int) -> str:
    begin = end
    while begin > max(0, end - 32) and (text[begin - 1].isalnum() or text[begin - 1] in "+.-"):
        begin -= 1
    return text[begin:end].lower()
