"""A run's journal as curves small enough to print: what a report draws. Never in the daemon: it needs numpy."""
