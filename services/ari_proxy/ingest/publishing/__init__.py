"""The stream of each dialog's events to the bus, and what of it was lost."""
