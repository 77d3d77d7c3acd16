"""Records -> what happened: series, lives, latency windows, faults, looks. Judges nothing."""
