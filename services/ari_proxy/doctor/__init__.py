"""`ari-proxy doctor`: looks at Asterisk and the bus as the services would, says what is wrong."""
