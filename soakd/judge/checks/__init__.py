"""One question a file, each answered by checks."""
