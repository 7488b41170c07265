"""A small simulated Asterisk with ARI, for demos and tests."""
