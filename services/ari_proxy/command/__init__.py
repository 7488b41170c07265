"""Commands from the bus to Asterisk."""
