"""Copies of what passes, for people who watch: made only while somebody does."""
