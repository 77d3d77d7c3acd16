"""The HTTP server of a run: status page, JSON interface and metrics."""
