"""`soakd init`: writes a commented configuration to start from."""

import argparse
from pathlib import Path

from soakd.errors import PreflightError
from soakd.plaintext import escaped


def init(options: argparse.Namespace) -> int:
    """Write a commented configuration; never overwrite a file."""
    path = Path(options.path)
    text = (Path(__file__).parents[1] / "template.toml").read_text(encoding="utf-8")
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise PreflightError(f"{path}: already exists; choose another file name") from None
    except OSError as error:
        raise PreflightError(f"{path}: cannot be written: {error.strerror}") from error
    print(escaped(f"wrote {path}; next: soakd check {path}, then soakd run {path}"))
    return 0
