"""Addresses: what is taken, what is refused before anything connects, and what is never written down."""

import re

import pytest

from soakd.wire import addresses

HTTP, REDIS = ("http", "https"), ("unix", "redis", "rediss")


@pytest.mark.parametrize(
    ("url", "schemes"),
    [
        ("http://127.0.0.1:8181", HTTP),
        ("https://me:pw@opa.example/behind/a/proxy/", HTTP),
        ("http://[::1]:8181", HTTP),
        ("redis://host", REDIS),
        ("redis://me:p%2Fw@host:6380/9", REDIS),
        ("redis://host?db=9", REDIS),
        ("unix:///run/redis.sock?db=3&password=pw", REDIS),
        ("rediss://host:6380/0?ssl_ca_certs=/etc/ca.pem&ssl_cert_reqs=none", REDIS),
    ],
)
def test_an_address_that_clients_understand_is_taken_as_it_is(url: str, schemes: tuple[str, ...]) -> None:
    assert addresses.check(url, schemes) == url


@pytest.mark.parametrize(
    ("url", "schemes", "why"),
    [
        ("127.0.0.1:8181", HTTP, "must begin with http:// or https://, got '127.0.0.1:8181'"),
        ("redis://:secret@host", HTTP, "must begin with http:// or https://, got 'redis://host'"),
        ("me:secret@host:8181", HTTP, "must begin with http:// or https://, got 'host:8181'"),
        ("http://", HTTP, "must begin with"),
        ("http://:8181", HTTP, "must be http://host:port"),
        (
            "http://host:8181/?pretty=secret",
            HTTP,
            "must be http://host:port, perhaps with a path, got 'http://host:8181/'",
        ),
        ("http://host:8181#rule", HTTP, "must be http://host:port"),
        ("http://host:99999", HTTP, "its port must be 1 to 65535"),
        ("redis://host:0", REDIS, "its port must be 1 to 65535"),
        ("redis://:sec/ret@host:6379", REDIS, "its port must be 1 to 65535; in a password, /"),
        ("redis://host/cache", REDIS, "its database must be a whole number, such as /9, got 'cache'"),
        ("unix:///r.sock?db=-1", REDIS, "its database must be a whole number, such as /9, got '-1'"),
        ("redis://host?decode_responses=yes", REDIS, 'unknown parameter "decode_responses"; known: db, '),
        ("redis://host?socket_timeout=60", REDIS, 'unknown parameter "socket_timeout"'),
        ("rediss://host?ssl_cert_reqs=no", REDIS, "ssl_cert_reqs must be one of none, optional, required, got 'no'"),
    ],
)
def test_one_that_a_client_would_take_for_another_is_refused_without_its_secrets(
    url: str, schemes: tuple[str, ...], why: str
) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(why)) as caught:
        addresses.check(url, schemes)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://me:secret@host:1/2", "redis://host:1/2"),
        ("redis://:se@cret@host", "redis://host"),
        ("unix:///r.sock?password=secret", "unix:///r.sock"),
        ("http://host:1/opa/", "http://host:1/opa/"),
        ("http://host/#secret", "http://host/"),
    ],
)
def test_an_address_is_written_down_without_its_secrets(url: str, shown: str) -> None:
    assert addresses.without_credentials(url) == shown
