"""soakd: soak a service's engines for hours or weeks, and say whether they leak, drift or crash."""
