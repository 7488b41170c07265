"""AMQP 0-9-1 as RabbitMQ speaks it: frames, channels and a connection, without any policy."""
