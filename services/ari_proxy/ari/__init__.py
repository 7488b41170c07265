"""Asterisk's REST Interface: events, operations, REST and websocket clients."""
