"""How the processes reach Asterisk and the bus: credentials, TLS, clients."""
