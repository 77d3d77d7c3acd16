"""Journal -> verdict: a short separate process, the only one with numpy and scipy. Pure, except for `judge`."""
