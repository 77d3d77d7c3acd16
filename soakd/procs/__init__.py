"""Processes seen and started from outside: /proc, exits, output, interpreters, the guardian."""
