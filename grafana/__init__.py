"""Dashboards of soakd, written by `python -m grafana.build`; provisioning and rules for Grafana and Prometheus."""
