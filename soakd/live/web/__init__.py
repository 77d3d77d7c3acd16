"""What a browser or a Prometheus sees of a run."""
