"""The wire protocol: messages, topics, ids. Pure: no IO, no clock, no logging."""
