"""When an engine gets a deep look or a heap snapshot: because it grows, or on request."""
