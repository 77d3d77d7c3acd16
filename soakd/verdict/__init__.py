"""The verdict as values: checks, severity, and the formatting of numbers. Pure."""
