"""The durable queues of dialogs: created, watched, deleted. Only on a bus that has them."""
