"""The process's HTTP surface: health, metrics, the admin API and the console."""
