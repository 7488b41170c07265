"""Which dialog an event belongs to, and which phase a dialog is in. Sans-I/O."""
