"""The bus in memory, for tests and standalone mode."""
