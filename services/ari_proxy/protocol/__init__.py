"""The wire protocol: messages, topics, ids. Sans-I/O: no clock, no logging."""
