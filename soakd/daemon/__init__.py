"""The process that runs a soak: it starts workers, servers and the judge, and computes nothing."""
