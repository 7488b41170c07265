"""The lease: which of several ingests of a server is the active one."""
