"""The current state of a run, and the outputs that show it. Computes nothing."""
