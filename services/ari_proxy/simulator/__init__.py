"""A small Asterisk with an ARI, for demos and tests."""
