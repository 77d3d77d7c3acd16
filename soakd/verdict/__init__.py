"""The verdict as values: one check, severity, the words for its numbers. Pure."""
