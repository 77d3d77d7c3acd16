"""Data that crosses a pipe between daemon and worker. Standard library only, because both sides import it."""
