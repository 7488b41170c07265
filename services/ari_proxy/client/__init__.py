"""A small library for applications in Python."""
