"""Journal -> verdict: a short process of its own, the one with numpy and scipy. Pure but for `judge`."""
