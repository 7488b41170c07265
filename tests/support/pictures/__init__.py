"""Draws dashboards for the documentation, where there is no Grafana.

It reads a dashboard's JSON as Grafana does, asks Prometheus what each panel asks, and draws the
panels at their places. Its pictures are renderings, not screenshots: captions say so.
"""
