"""The queues of dialogs on a bus that keeps messages."""
