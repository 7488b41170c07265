"""ari-proxy: Asterisk's REST Interface over a message bus."""
