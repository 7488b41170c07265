"""Settings: groups, sources and their errors."""
