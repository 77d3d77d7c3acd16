"""`python -m soakd`."""

from soakd.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
