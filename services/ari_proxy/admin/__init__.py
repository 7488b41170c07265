"""The HTTP server of a process: health, metrics, admin API and console."""
