"""`soakd install-units`: writes the systemd units for this environment."""

import argparse
from pathlib import Path

from soakd import systemd


def install_units(options: argparse.Namespace) -> int:
    """Write the systemd units for the current environment, or show them."""
    written = systemd.here()
    if options.print:
        for path, text in written.items():
            print(f"# /{path}\n{text}")
        return 0
    for path in systemd.install(Path(options.root), written):
        print(f"wrote {path}")
    print(
        "next: systemctl daemon-reload; put a configuration into /etc/soakd/NAME.toml; systemctl start soakd@NAME; "
        "systemctl status soakd@NAME"
    )
    return 0
