"""The stream of each dialog's events to the bus, and the report of what was lost of it.

The stream publishes, holds or drops an event, as the dialog's phase says; it starts no set-up.
"""
