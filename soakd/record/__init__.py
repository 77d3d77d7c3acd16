"""A run on disk: its folder, its journal, and one clock across restarts and reboots."""
