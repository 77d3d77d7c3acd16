"""The judged process: one engine under load, sampling itself, sending records. Standard library only."""
