"""One question per file, each answered by checks."""
