"""`ari-proxy doctor`: checks Asterisk and the bus as the services use them, and reports faults."""
