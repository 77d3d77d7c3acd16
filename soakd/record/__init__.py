"""What a run leaves on disk: its folder, its journal, and one clock over restarts and reboots."""
