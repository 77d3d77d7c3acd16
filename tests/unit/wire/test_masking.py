"""Secrets that are hidden, texts that stay as they are, and how long that takes."""

import json
import time
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soakd.wire.masking import copied_secret, cut, is_secret_name, mask, masked, tail

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.c2lnbmF0dXJlLWh1bnRlcjI"

SECRETS = (
    # names, as settings, environments and logs write them
    "password=hunter2",
    "db_password=hunter2",
    "DB_PASSWORD='hunter2 and more'",
    "access_token=hunter2",
    "AWS_SECRET_ACCESS_KEY=hunter2/Xx+hunter2",
    "AWS_SESSION_TOKEN: hunter2",
    "client_secret=hunter2",
    "clientSecret: hunter2",
    "refreshToken=hunter2; path=/",
    "X-Api-Key: hunter2",
    "apiKey=hunter2",
    "PGPASSWORD=hunter2 psql -h db",
    "MYSQL_PWD=hunter2",
    "passphrase = hunter2",
    "private_key=hunter2",
    "secret_id: hunter2",
    "new_password_confirmation=hunter2",
    "password2=hunter2",
    "login failed: passwd:hunter2, user=bob",
    "smtp_pass=hunter2",
    "password := 'hunter2'",
    "password%3Dhunter2",
    "'password' => 'hunter2'",
    "Server=db;User=sa;Password=hunter2;Encrypt=yes",
    "AccountKey=hunter2+hunter2==;EndpointSuffix=core",
    "host=db user=bob password=hunter2 dbname=x",
    "password=it'shunter2",
    "password=hunter2,hunter2",
    "password=hunter2&hunter2",
    # values with quotes
    '{"password": "hunter2"}',
    "{'api_key': 'hunter2'}",
    '{"token": "a \\"quoted\\" hunter2"}',
    '"{\\"password\\": \\"hunter2\\"}"',
    'password = """\nhunter2\n"""',
    "password: str = 'hunter2'",
    "connect(password='hunter2', port=1)",
    "connect(password=b'hunter2')",
    "Client(token='hunter2",
    'os.environ["API_TOKEN"] = "hunter2"',
    'passwords = ["hunter2", "other"]',
    "tokens: ['hunter2']",
    # command lines, markup, SQL
    "--password hunter2",
    "--token=hunter2",
    "['--api-key', 'hunter2']",
    "redis-server --requirepass hunter2 --port 0",
    "curl -u bob:hunter2 https://host/",
    "curl -H 'Authorization: Bearer hunter2' https://host/",
    "<password>hunter2</password>",
    "ALTER USER bob WITH PASSWORD 'hunter2'",
    # headers
    "Authorization: Bearer hunter2",
    "authorization: hunter2",
    "Proxy-Authorization: Basic Ym9iOmh1bnRlcjI=",
    "GET / with Basic Ym9iOmh1bnRlcjI= refused",
    'Authorization: Digest username="bob", response="hunter2"',
    "Authorization: AWS4-HMAC-SHA256 Credential=AKIDhunter2/x, Signature=hunter2",
    "Cookie: a=hunter2; b=hunter2",
    "Set-Cookie: sid=hunter2; HttpOnly",
    "{'Authorization': 'Bearer hunter2'}",
    "sent bearer hunter2hunter2.hunter2 to the server",
    # addresses
    "redis://user:hunter2@host:1/0 refused",
    "redis://:hunter2@host:6379/0",
    "redis://:hunter2/hunter2@host:6379/0",
    "redis://u:p@hunter2@host:1/0",
    "postgresql://bob:p@ss/hunter2@db:5432/x",
    "amqp://bob:p#hunter2?@mq/vhost",
    "https://hunter2@host/x",
    "https://hunter2hunter2:x-oauth-basic@github.com/a/b.git",
    "git+https://hunter2:@host/x.git",
    "mongodb+srv://bob:hunter2@a.b/?w=majority",
    "rediss://host:1?password=hunter2&db=0",
    "https://host/cb?access_token=hunter2#top",
    "https://account.blob/x?sv=1&sig=hunter2%2Bhunter2",
    "https://s3/x?X-Amz-Signature=hunter2&X-Amz-Credential=hunter2",
    "https://hooks.slack.com/services/T0/B0/hunter2",
    "https://api.telegram.org/bot1:hunter2/sendMessage",
    # forms
    "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\nhunter2",
    f"got {JWT} from it",
    "ghp_hunter2hunter2hunter2hunter2hunter2",
    "glpat-hunter2hunter2hunter2",
    "xoxb-1234-hunter2hunter2",
    "sk-proj-hunter2hunter2hunter2",
    "hvs.hunter2hunter2hunter2hunter2",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\nhunter2\n-----END PGP PRIVATE KEY BLOCK-----",
    # frameworks, Redis and other tools
    "SECRET_KEY_BASE=hunter2",
    "FERNET_KEY=hunter2",
    '{"db": {"pass": "hunter2"}}',
    "CONFIG SET requirepass hunter2",
    "masterauth hunter2",
    "curl -u 'bob:hunter2' https://host/",
    "Authorization: GenieKey hunter2",
    "Authorization: hunter2 hunter2",
    '{"Authorization": ["hunter2"], "Cookie": ["a=hunter2", "b"]}',
    'cookie = "a=\\"x\\"; hunter2"',
    # short options of clients, pairs of name and value, addresses without a scheme
    "mysql -phunter2",
    "/usr/bin/mysqldump --single-transaction -u root -phunter2 shop",
    "mariadb-admin -p'hunter2 and more' status",
    "['mysql', '-h', 'db', '-phunter2']",
    "sshpass -p hunter2 ssh host",
    "sshpass -phunter2 ssh host",
    "sshpass -v -p 'hunter2 and more' ssh host",
    '["sshpass", "-p", "hunter2", "ssh"]',
    "redis-cli -h db -a hunter2 ping",
    "mongosh -u bob -p hunter2 db",
    "ldapsearch -x -D cn=admin -w hunter2",
    '{"name": "DB_PASSWORD", "value": "hunter2"}',
    "{'Name': 'DB_PASSWORD', 'Value': 'hunter2'}",
    '{"key":"api_token","value":"hunter2"}',
    '"{\\"name\\": \\"DB_PASSWORD\\", \\"value\\": \\"hunter2\\"}"',
    "env:\n  - name: DB_PASSWORD\n    value: hunter2\n",
    '<input name="password" value="hunter2">',
    "CREATE USER bob IDENTIFIED BY 'hunter2'",
    "IDENTIFIED WITH mysql_native_password BY 'hunter2'",
    "alter user bob identified by 'it\\'s hunter2'",
    'GRANT ALL ON *.* TO bob IDENTIFIED BY "hunter2"',
    "bob:hunter2@db.example.com:5432/shop: connection refused",
    "dsn=bob:hunter2@tcp(db:3306)/shop",
    'connect("bob:hunter2@db:5432/shop")',
    "docker://bob:hunter2@registry/image@sha256:0123456789abcdef",
    "redis://bob:hunter2@h:6379/0?client=a@b",
    "redis://h:6379/0?password=hunter2@b",
    "password = SecretStr('hunter2')",
    "token = derive(hunter2)",
)
"""Each holds a secret with "hunter2" (or its base64) in it."""
IN_BASE64 = "Ym9iOmh1bnRlcjI"

INNOCENT = (
    "token_count=5",
    "tokens=12, max_tokens=4096",
    "max_token=12 eos_token='</s>'",
    "password policy",
    "the password is too short",
    "a token of 3 words",
    "password: must be at least 8 characters",
    "password: required",
    "password=None, token=null, secret=''",
    "KeyError: 'password'",
    "TypeError: connect() got an unexpected keyword argument 'token'",
    "SyntaxError: Unexpected token: } in JSON at position 3",
    '{"detail": [{"loc": ["body", "password"], "msg": "field required"}]}',
    '{"password": {"type": "string", "minLength": 8}}',
    "password_length=8 password_policy=strict",
    "password_file = '/run/secrets/db'",
    "/run/secrets/token: No such file or directory",
    "/run/secrets/db_password: Permission denied",
    "PWD=/srv/app OLDPWD=/srv",
    "ssh_key=/etc/keys/id",
    "sha256=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "config_sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "commit 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12+",
    "fingerprint 0123456789abcdef",
    "550e8400-e29b-41d4-a716-446655440000",
    "http://127.0.0.1:8181/v1/data?a=1@2",
    "http://host:8080/@scope/package",
    "https://medium.example/@bob/post",
    "https://example.com/a?page=2&key=name#top",
    "redis://localhost:6379/0",
    "unix:///run/redis.sock",
    "git@github.com:org/repo.git",
    "ssh://git@host/repo.git",
    "mailto:bob@example.com",
    "postgresql://db.example.com/app?sslmode=require",
    "primary_key=id, foreign_key=user_id, cache_key=a:b",
    "public_key=ssh-ed25519 AAAAC3",
    "keyspace_hits=10 keys=5 key=value",
    "author: Ann, authority=example.com, authenticated: true",
    "authorized=true auth=off",
    "3 passed, 1 failed; pass: 3; bypass=1; compass=n",
    "session=5 sessions: 7",
    "signature: f(x, y) -> int",
    "secretary: Bob; secrets are kept elsewhere",
    "token bucket: 5 per second",
    "password = os.environ['DB_PASSWORD']",
    "    self.token = token",
    "    client = connect(host, password=settings.password, token=token)",
    "def connect(host: str, password: str | None = None) -> None:",
    "password = $DB_PASSWORD or ${DB_PASSWORD} or {{ db_password }}",
    "--token is required",
    "Basic authentication and bearer tokens; the bearer authentication scheme",
    "<Token object at 0x7f3a2b1c>",
    """Traceback (most recent call last):
  File "/srv/app/auth/token.py", line 12, in refresh_token
    return self.secret_for(key)
           ^^^^^^^^^^^^^^^^^^^^
KeyError: 'token'""",
    "File \"/srv/app/keys.py\", line 3, in <module>: ValueError: invalid literal for int() with base 10: 'a=b'",
    "growth.reachable_bytes.per_operation: 112 MB/h [98.1 MB/h, 126 MB/h], limit 1 MB/h",
    "list `kept` of app.cache.<locals>.operation",
    "2026-11-30T13:00:00Z cache-rust: killed by SIGKILL (exit status 137)",
    "counter.evictions_total=12 counter.tokens_total=99",
    "a-a-a-a=b=c:d:e://",
    # paths, and names that only begin like a token
    "unix:///run/opa@1.sock: No such file or directory",
    "sqlite:////srv/soak@1/cache.db",
    "file:///srv/app@2/token.py",
    "http://[::1]:8080/@scope/package",
    "/srv/sk-learn-contrib-of-long-names/x.py, /srv/pypi-mirror-of-all-packages-that-there-are-in-it/x",
    # what is said of an engine that is called so
    "jwt: exited with status 7 before its time",
    "session-token: killed by SIGKILL, the kernel was out of memory",
    "token: reachable memory grows 12 MB/h, limit 1 MB/h",
    "cookie: errors.ratio 0.2, limit 0.01",
    "jwt: ValueError: 3",
    "jwt: growth_per_operation = 1000 B cannot pass in this length",
    "jwt: 3 lines in the record pipe were not the worker's",
    'engine "jwt": rate: must be above 0, got -5',
    'engine "api-token": python: no such file',
    # lines of source
    "token = next(tokens)",
    "    token = await next(iter(tokens), None)  # the first one",
    "    password = row.password",
    "secret = derive(key, salt)",
    "token = tokens[0]",
    "jwt = lexer.next()",
    # an @ that is no end of credentials, and options that are no passwords
    "redis://h:6379/0?client=a@b",
    "postgresql://h:5432?application_name=a@b",
    "docker://img@sha256:...",
    "docker://registry:5000/img@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "image nginx:1.27@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "mailto:bob@mail.example.com:25/x, sip:bob@host:5060/x",
    "git@github.com:22/org/repo.git",
    "docker run --name mysql -p3306:3306 mysql:8",
    "docker run --name mongo -p 27017:27017 mongo",
    "mysql -u root -p shop; mkdir -p folder; ssh -p 22 host",
    "mysql -p$MYSQL_PASSWORD shop",
    "a leak is identified by 'fingerprint', identified as \"site\"",
    '{"name": "growth", "value": "high"}',
    '{"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": "x"}}',
    "",
)


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_hidden_and_stays_so(text: str) -> None:
    shown = mask(text)
    assert "hunter2" not in shown
    assert IN_BASE64 not in shown
    assert JWT not in shown
    assert "***" in shown
    assert mask(shown) == shown


@pytest.mark.parametrize("text", INNOCENT)
def test_a_text_without_a_secret_stays_as_it_is(text: str) -> None:
    assert mask(text) == text


def test_there_are_fifty_of_each() -> None:
    assert len(set(SECRETS)) >= 50
    assert len(set(INNOCENT)) >= 50


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://user:hunter2@host:1/0 refused", "redis://user:***@host:1/0 refused"),
        ("login failed: password=hunter2, user=me", "login failed: password=***, user=me"),
        ("Server=db;Password=hunter2;Encrypt=yes", "Server=db;Password=***;Encrypt=yes"),
        ("Authorization: Bearer hunter2", "Authorization: Bearer ***"),
        ("curl -H 'Authorization: Bearer hunter2' https://host/", "curl -H 'Authorization: Bearer ***' https://host/"),
        ('{"password": "hunter2", "user": "bob"}', '{"password": "***", "user": "bob"}'),
        ("rediss://host:1?password=hunter2&db=0", "rediss://host:1?password=***&db=0"),
        ("connect(password='hunter2', port=1)", "connect(password='***', port=1)"),
        ("https://hunter2@host/x", "https://***@host/x"),
        ("mysql -u root -p'hunter2 a' shop", "mysql -u root -p'***' shop"),
        ('["sshpass", "-p", "hunter2", "ssh"]', '["sshpass", "-p", "***", "ssh"]'),
        ("bob:hunter2@db:5432/shop", "bob:***@db:5432/shop"),
        ('{"name": "A_TOKEN", "value": "hunter2", "x": 1}', '{"name": "A_TOKEN", "value": "***", "x": 1}'),
    ],
)
def test_what_stands_around_a_secret_is_kept(text: str, shown: str) -> None:
    assert mask(text) == shown


@given(st.text(max_size=400))
def test_hiding_twice_is_hiding_once(text: str) -> None:
    assert mask(mask(text)) == mask(text)


@given(st.text(alphabet="mysql -pad@:/1'\"ident\n", max_size=200))
def test_hiding_twice_is_hiding_once_of_what_looks_like_command_lines(text: str) -> None:
    assert mask(mask(text)) == mask(text)


@given(st.text(alphabet="pasword=:'\" ,&@/\\tokenkey[]{}<>-x1\n", max_size=200))
def test_hiding_twice_is_hiding_once_of_what_looks_like_secrets(text: str) -> None:
    assert mask(mask(text)) == mask(text)


def test_a_cut_takes_no_secret_apart() -> None:
    assert cut("redis://user:hunter2@host", len("redis://user:hun")) == "redis://user:***"
    assert tail("password=hunter2", len("ter2")) == "=***"
    assert cut("a-" * 10_000_000, 10) == "a-a-a-a-a-"


def test_a_cut_inside_of_a_private_key_shows_none_of_it() -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + "hunter2hunter2hunter2hunter2hunter2\n" * 40 + "-----END PRIVATE KEY-----"
    assert "hunter2" not in cut("text " + key, 300)
    shown = tail(key + " bad", 300)
    assert "hunter2" not in shown
    assert mask(shown) == shown
    assert tail("one\ntwo " + key[-200:] + " bad", 900) == "one\ntwo ***-----END PRIVATE KEY----- bad"


def test_values_under_secret_names_are_hidden_however_deep_and_readings_stay() -> None:
    found = masked({
        "options": {"password": "hunter2", "nested": [{"auth_token": ["hunter2"]}], "tokens": {"a": "hunter2"}},
        "args": ["--requirepass", "hunter2", "--port", "0"],
        "url": "redis://:hunter2@host/0",
        "counter.token": 5, "tokens": "12", "rate": 2.5, "none": None, "password": None,
    })  # fmt: skip
    assert found == {
        "options": {"password": "***", "nested": [{"auth_token": ["***"]}], "tokens": {"a": "***"}},
        "args": ["--requirepass", "***", "--port", "0"],
        "url": "redis://:***@host/0",
        "counter.token": 5, "tokens": "12", "rate": 2.5, "none": None, "password": None,
    }  # fmt: skip
    assert masked({"pin": 1, "password": 1234}, numbers=True) == {"pin": 1, "password": "***"}


def test_a_variable_that_is_written_as_a_pair_is_hidden_in_any_order_of_its_keys() -> None:
    assert masked([{"value": "hunter2", "name": "DB_PASSWORD"}, {"Name": "DB_HOST", "Value": "db"}]) == [
        {"value": "***", "name": "DB_PASSWORD"}, {"Name": "DB_HOST", "Value": "db"},
    ]  # fmt: skip
    assert masked({"name": "tokens", "value": 12}) == {"name": "tokens", "value": 12}
    assert masked({"key": "a", "name": "b", "value": "c"}) == {"key": "a", "name": "b", "value": "c"}


def test_an_engine_may_have_the_name_of_a_secret() -> None:
    state = {"phase": "load", "verdict": "PASS", "options": {"password": "hunter2"}}
    found = masked({"engines": {"jwt": state, "session-token": {"up": True, "state": "FAIL"}}})
    assert found["engines"]["jwt"] == {"phase": "load", "verdict": "PASS", "options": {"password": "***"}}
    assert found["engines"]["session-token"] == {"up": True, "state": "FAIL"}
    assert masked({"engines": {"password": "hunter2"}}) == {"engines": {"password": "***"}}


@pytest.mark.parametrize(
    "repeated",
    [
        "token=a,",
        "token=a;x=",
        "tokens=1,",
        "token=none;",
        "token=${A},",
        "pass=x&y",
        "mysql -",
        "mysql ",
        "sshpass -p ",
        "a:b@",
        "identified by ",
        "name: token\nvalue: ",
        "token = a(",
        "://h:1?a=@",
    ],
)
def test_a_list_of_secrets_without_a_blank_is_read_once(repeated: str) -> None:
    text = repeated * (100_000 // len(repeated))
    begin_s = time.process_time()
    mask(text)
    assert time.process_time() - begin_s < 2.0  # it was seven and more


def test_a_copy_is_known_by_what_was_hidden_in_it() -> None:
    written = masked({"engine": [{"options": {"url": "redis://:hunter2@host", "db": 1}}]})
    assert copied_secret(written) == "engine.options.url"
    assert copied_secret({"a": {"password": "***"}}) == "a.password"
    assert copied_secret({"a": "redis://host", "b": ["x"]}) is None


@pytest.mark.parametrize("name", ["dbPassword", "API_KEY", "x-api-key", "Authorization", "clientSecret", "sessionid"])
def test_these_are_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["key", "public_key", "token_count", "password_file", "author", "bypass", "entries"])
def test_these_are_not(name: str) -> None:
    assert not is_secret_name(name)


def test_a_configuration_is_still_one_when_its_secrets_are_hidden() -> None:
    text = '[[engine]]\nurl = "redis://:p@h"\noptions = { password = "p", tokens = ["a", "b"], size = 3 }\n'
    assert tomllib.loads(mask(text))["engine"][0]["options"] == {"password": "***", "tokens": ["***"], "size": 3}
    assert json.loads(mask('{"password": "p", "n": [1, 2]}')) == {"password": "***", "n": [1, 2]}
    headers = {"authorization": ["a", "b"], "cookie": 'a="b"', "headers": {"cookie": {"token": "t"}}}
    hidden = {"authorization": ["***"], "cookie": "***", "headers": {"cookie": {"token": "***"}}}
    assert json.loads(mask(json.dumps(headers))) == hidden
