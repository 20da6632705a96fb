"""The files of `nlbgen render monitoring`: scrape jobs, alert rules, probes, a Grafana dashboard, systemd units.

`targets.py` decides what is scraped, `alerts.py`, `alerts_programs.py` and `alerts_hosts.py` when an alert fires,
`timing.py` how long a condition must hold. `dashboard.py` has the panels, `rendering.py` makes the files.

Sources of the metric names: the exporters of Debian 12 (HAProxy 2.6, prometheus-blackbox-exporter 0.23,
prometheus-nginx-exporter 0.11, prometheus-redis-exporter 1.45), which the tests run; F5's own test data of the
Prometheus pull consumer of Telemetry Streaming; F5-BIGIP-LOCAL-MIB; IF-MIB.

Imports core, spec, generators.
"""
