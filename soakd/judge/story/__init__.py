"""Records -> what happened: series, lives, latency windows, faults, looks. It does not judge."""
