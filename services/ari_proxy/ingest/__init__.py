"""Events from Asterisk to the bus."""
