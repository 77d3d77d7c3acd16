"""The growth method: does the long-run rate of one series stay below a limit? Numbers only."""
