"""Copies of messages as lines, ladders and diagrams. Sans-I/O."""
