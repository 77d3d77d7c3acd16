"""The `[notify]` table: what is sent, and to whom. A webhook's address is a secret: it is kept out of every copy."""

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from soakd import units
from soakd.errors import ConfigError
from soakd.setup.settings import EVENTS, Notify
from soakd.setup.toml import Table, parse_toml
from soakd.wire.masking import HIDDEN, mask

OVERRIDE = "notify.webhook="
LONGEST_TIMEOUT_S = 300.0

_BARE = re.compile(r"(=[ \t]{0,8}+)\*\*\*(?=[ \t]{0,8}+(?:[,}#]|$))", re.MULTILINE)
"""A masked secret without quotes, because it was a number."""
_WEBHOOK = re.compile(r"https?://[^\s\"'\\]+", re.IGNORECASE)


def read_notify(table: Table, text: str, overrides: Sequence[str], folder: Path) -> Notify:
    """Read the table.

    Args:
        table: the table.
        text: the whole file, from which the webhook's address is to be removed.
        overrides: the changes by the command line.
        folder: of the file; a command that contains a slash is relative to it.
    """
    command, base = table.texts("command"), Notify()
    if command and "/" in command[0]:
        command = (str(folder.absolute() / command[0]), *command[1:])
    notify = Notify(
        command=command,
        webhook=_read_webhook(table, text, overrides),
        on=table.words("on", EVENTS) or base.on,
        timeout_s=table.quantity("timeout", units.parse_duration, base.timeout_s, most=LONGEST_TIMEOUT_S),
        every_s=table.quantity("every", units.parse_duration, base.every_s),
    )
    table.finish()
    return notify


def without_secrets(url: str) -> str:
    """Return a webhook's address with only its host; the rest may be secret."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    plain = parts.path in ("", "/") and not parts.query and not parts.fragment and "@" not in parts.netloc
    return url if plain else f"{parts.scheme}://{host}/{HIDDEN}"


def kept_text(text: str, notify: Notify) -> str:
    """Return a configuration's text without its secrets; it remains valid TOML."""
    kept = kept_override(text, notify)
    try:
        parse_toml(kept, "the copy")
    except ConfigError:
        return _BARE.sub(rf'\1"{HIDDEN}"', kept)
    return kept


def kept_override(text: str, notify: Notify) -> str:
    """Return an override of the command line without its secrets."""
    return mask(text if notify.webhook is None else text.replace(notify.webhook, without_secrets(notify.webhook)))


def _read_webhook(table: Table, text: str, overrides: Sequence[str]) -> str | None:
    """Read an address; no error message shows it."""
    url = table.text("webhook")
    if url is None:
        return None
    if HIDDEN in url:
        table.report("webhook", f'this is a copy: its address was replaced by "{HIDDEN}"; set it again')
        return None
    try:
        sound = bool(_WEBHOOK.fullmatch(url) and urlsplit(url).hostname and urlsplit(url).port != 0)
    except ValueError:
        sound = False
    if not sound:
        table.report("webhook", "must be an address such as https://host/path, without spaces")
    elif url not in text and not any(override.strip().startswith(OVERRIDE) for override in overrides):
        table.report("webhook", "write the address without escapes, so that it can be removed from the run's copy")
    return url
