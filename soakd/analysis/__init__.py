"""Pure analysis: numbers in, judgements out. No clock, event loop, process, socket or logging."""
