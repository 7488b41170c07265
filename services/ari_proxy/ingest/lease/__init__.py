"""The lease decides which of several ingests of a server is active."""
