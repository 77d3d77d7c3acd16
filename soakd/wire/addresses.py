"""Addresses of servers: which ones are valid, and how to show them without secrets."""

import re
from collections.abc import Collection, Mapping
from urllib.parse import parse_qs, unquote, urlsplit

REDIS_PARAMETERS = (
    "db", "username", "password", "ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname",
    "ssl_keyfile", "ssl_password",
)  # fmt: skip
"""Parameters allowed after the "?" of a Redis address: those that redis-py and the daemon read in the same way."""

PORTS: Mapping[str, int] = {"http": 80, "https": 443, "redis": 6379, "rediss": 6379}
"""Default ports."""
SSL_CERT_REQS = ("none", "optional", "required")


def check(url: str, schemes: Collection[str]) -> str:
    """Return an address if it is valid, and clients will not misread it.

    Raises:
        ValueError: with the rule that it breaks, without anything that may be a password.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in schemes or not rest:
        shown = repr((rest and without_credentials(url)) or url.rpartition("@")[2])
        raise ValueError(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}, got {shown}")
    parts = urlsplit(url)  # raises ValueError for an unterminated IPv6 address
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("its port must be 1 to 65535; in a password, /, ?, #, @ and : are written %2F, %3F, %23, ...")
    if scheme in ("http", "https"):
        if not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"must be {scheme}://host:port, perhaps with a path, got {without_credentials(url)!r}")
    elif scheme in ("unix", "redis", "rediss"):
        _check_redis(parts.path, parameters(url), on_socket=scheme == "unix")
    return url


def parameters(url: str) -> Mapping[str, str]:
    """Return the parameters after the "?" of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()}


def without_credentials(url: str) -> str:
    """Return an address that is safe to show: without user, password and parameters."""
    scheme, _, rest = re.split(r"[?#]", url, maxsplit=1)[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _check_redis(path: str, given: Mapping[str, str], *, on_socket: bool) -> None:
    unknown = [name for name in given if name not in REDIS_PARAMETERS]
    if unknown:
        raise ValueError(f'unknown parameter "{unknown[0]}"; known: {", ".join(REDIS_PARAMETERS)}')
    if (required := given.get("ssl_cert_reqs", "required")) not in SSL_CERT_REQS:
        raise ValueError(f"ssl_cert_reqs must be one of {', '.join(SSL_CERT_REQS)}, got {required!r}")
    database = given.get("db") or ("" if on_socket else unquote(path).strip("/"))
    # redis-py ignores a database that is not a number, and uses the default one.
    if database and not re.fullmatch(r"[0-9]+", database):
        raise ValueError(f"its database must be a whole number, such as /9, got {database!r}")
