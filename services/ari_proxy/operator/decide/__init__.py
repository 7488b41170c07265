"""Decides, from the observed state, which changes to make. Sans-I/O."""
