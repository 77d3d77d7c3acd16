"""Names of secrets: `DB_PASSWORD`, `clientSecret`, `x-api-key`; and names that only look similar."""

import re
from functools import lru_cache

LONGEST_NAME = 64
"""A longer word is not the name of a setting."""

VALUE, SEVERAL, LINE, FOLDER, QUERY = "value", "several", "line", "folder", "query"
"""One secret; a list of secrets, or a count of harmless things; the rest of a line; a secret or a path; a secret in the
parameters of an address only."""

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_ENDS = (
    "password", "passwd", "passphrase", "passwort", "secret", "token", "apikey", "secretkey", "privatekey", "accesskey",
    "authkey", "credential", "credentials", "requirepass", "masterauth", "dbpass", "userpass", "sshpass", "jwt",
    "sessionid", "sessid",
)  # fmt: skip
_PLURALS = ("passwords", "passphrases", "secrets", "tokens", "apikeys", "jwts")
_HEADERS = ("authorization", "cookie", "cookies")
_KEYS_OF = frozenset({
    "access", "account", "admin", "aes", "api", "app", "application", "auth", "client", "consumer", "crypto",
    "decryption", "deploy", "encryption", "fernet", "function", "hmac", "jwt", "license", "master", "root", "secret",
    "service", "session", "shared", "signing", "storage", "subscription", "webhook",
})  # fmt: skip
_KEYS_IN_FILES = frozenset({"gpg", "pgp", "private", "rsa", "ssh"})
_PASSES_OF = frozenset({
    "admin", "auth", "basic", "bind", "cert", "db", "default", "ftp", "http", "key", "ldap", "login", "mail", "my",
    "mysql", "pg", "postgres", "proxy", "rabbitmq", "redis", "root", "smtp", "ssh", "ssl", "sudo", "user",
})  # fmt: skip
_VAGUE = frozenset({
    "again", "b64", "base", "base64", "confirm", "confirmation", "current", "digest", "hash", "hex", "new", "old",
    "plain", "raw", "repeat", "str", "string", "text", "value",
})  # fmt: skip
"""Suffixes that describe how a secret is written; the name is still a secret's."""
_OF_LANGUAGE = frozenset({
    "bos", "cls", "count", "eos", "first", "last", "mask", "max", "min", "n", "num", "pad", "per", "sep", "total",
    "unexpected", "unk",
})  # fmt: skip
"""Words before "token" in the sense of parsers and language models."""
_IN_QUERIES = frozenset({"auth", "sig", "signature"})
_FOLDERS = frozenset({"pwd", "oldpwd"})


@lru_cache(maxsize=1024)
def kind_of(name: str) -> str | None:
    """Return the kind of secret under a name; None if it is not one."""
    parts = [part.lower() for part in _PARTS.findall(name[-LONGEST_NAME:])]
    while len(parts) > 1 and (parts[-1] in _VAGUE or parts[-1].isdigit()):
        parts.pop()
    if not parts:
        return None
    last, before = parts[-1], parts[-2] if len(parts) > 1 else ""
    if last in _HEADERS:
        return LINE
    if last == "token" and before in _OF_LANGUAGE:
        return None
    if last.endswith(_PLURALS):
        return SEVERAL
    if last in _FOLDERS:
        return VALUE if before else FOLDER
    if last.endswith((*_ENDS, "pwd")):
        return VALUE
    return _kind_of_pair(before, last, parts)


def _kind_of_pair(before: str, last: str, parts: list[str]) -> str | None:
    """Return the kind of secret under a name whose last word alone is ambiguous."""
    if last in ("key", "keys"):
        return VALUE if before in _KEYS_OF else FOLDER if before in _KEYS_IN_FILES else None
    if last == "pass":
        return VALUE if before in _PASSES_OF else None if before else SEVERAL
    if last == "id":
        return VALUE if before in ("secret", "session") else None
    if last in _IN_QUERIES:
        return VALUE if parts[0] == "x" and len(parts) > 2 else QUERY
    return None
