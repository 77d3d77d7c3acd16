"""soakd: soaks a service's engines for hours or weeks, and reports whether they leak, drift or crash."""
