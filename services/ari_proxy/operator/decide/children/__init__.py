"""Builds the child objects: one module per kind, each with a function without side effects."""
