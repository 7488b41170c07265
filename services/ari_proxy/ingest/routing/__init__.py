"""Which dialog an event belongs to, and which phase a dialog is in. Sans-I/O.

Who decides that a dialog is over? `DialogTable.end`: the router calls it when the last channel has
left, recovery when Asterisk has none of its channels. `ingest/sweeper.py` does what follows.
"""
