"""A small Python library for applications."""
