"""Calls as people see them: `tail` and `ladder`, from copies of the messages."""
