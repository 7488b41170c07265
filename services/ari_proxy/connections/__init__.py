"""Clients of Asterisk and of the bus, with credentials and TLS from settings."""
