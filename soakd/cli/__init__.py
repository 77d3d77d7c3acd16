"""The command line: the parser, one file a command; the only place that prints or knows exit codes."""
