"""The demonstration: some calls, served by an example application."""
