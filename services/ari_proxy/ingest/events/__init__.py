"""The path of one event: from Asterisk's websocket through the pipeline."""
