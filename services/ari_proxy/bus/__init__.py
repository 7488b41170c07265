"""The message bus behind one port: NATS and memory."""
