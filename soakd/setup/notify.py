"""The `[notify]` table: who is told, of what. The address of a webhook is a secret: it is kept out of every copy."""

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
"""A secret that was a number, and has no quotes."""
_WEBHOOK = re.compile(r"https?://[^\s\"'\\]+", re.IGNORECASE)


def read_notify(table: Table, text: str, overrides: Sequence[str], folder: Path) -> Notify:
    """Read the table.

    Args:
        table: the table.
        text: the whole file, from which the webhook's address is to be taken out.
        overrides: what the command line changes.
        folder: where the file lies; a command with a slash in it is relative to it.
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
    """Write the address of a webhook without what may be a secret: all but its host."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    plain = parts.path in ("", "/") and not parts.query and not parts.fragment and "@" not in parts.netloc
    return url if plain else f"{parts.scheme}://{host}/{HIDDEN}"


def kept_text(text: str, notify: Notify) -> str:
    """Write a text of the configuration without the secrets in it; it stays TOML."""
    kept = kept_override(text, notify)
    try:
        parse_toml(kept, "the copy")
    except ConfigError:
        return _BARE.sub(rf'\1"{HIDDEN}"', kept)
    return kept


def kept_override(text: str, notify: Notify) -> str:
    """Write what the command line changes without the secrets in it."""
    return mask(text if notify.webhook is None else text.replace(notify.webhook, without_secrets(notify.webhook)))


def _read_webhook(table: Table, text: str, overrides: Sequence[str]) -> str | None:
    """Read an address; a message about one never shows it."""
    url = table.text("webhook")
    if url is None:
        return None
    if HIDDEN in url:
        table.report("webhook", f'this is a copy: its address was replaced by "{HIDDEN}"; give it again')
        return None
    try:
        sound = bool(_WEBHOOK.fullmatch(url) and urlsplit(url).hostname and urlsplit(url).port != 0)
    except ValueError:
        sound = False
    if not sound:
        table.report("webhook", "must be an address such as https://host/path, without blanks")
    elif url not in text and not any(override.strip().startswith(OVERRIDE) for override in overrides):
        table.report("webhook", "write the address as it is, without escapes: it is taken out of the run's copy")
    return url
