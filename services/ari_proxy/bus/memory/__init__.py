"""The bus inside one process, for standalone mode and for tests."""
