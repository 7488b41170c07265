"""The demo: a few calls, served by an example application."""
