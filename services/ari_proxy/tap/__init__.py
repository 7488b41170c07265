"""Copies of messages for people who watch calls; made only while somebody does."""
