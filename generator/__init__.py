"""Generates what knows all of ARI from Asterisk's own description of it: docs/generating.md."""
