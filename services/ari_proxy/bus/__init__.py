"""The message bus behind one port: NATS, RabbitMQ and memory."""
