"""Asterisk REST Interface (ARI): events, operations, REST and websocket clients."""
